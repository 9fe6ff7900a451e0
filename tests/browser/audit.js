// What is wrong with the page that is shown, as a list of words for each kind of fault; run by test_report.py.
const LEAST_CONTRAST = 4.5;
const found = { overflow: [], overlap: [], pictures: [], headings: [], links: [], contrast: [] };
const name = element => `${element.tagName.toLowerCase()} "${(element.textContent || "").trim().slice(0, 40)}"`;
const shown = element => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });

// Wide things scroll inside a box of their own; nothing else reaches beyond the window.
const width = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth > width) found.overflow.push(`the page is ${document.documentElement.scrollWidth} of ${width} wide`);
for (const element of document.body.querySelectorAll("*")) {
  if (element.closest(".scroll, .plot, pre") !== element && element.closest(".scroll, .plot, pre")) continue;
  if (shown(element) && element.getBoundingClientRect().right > width + 0.5) found.overflow.push(name(element));
}

for (const picture of document.querySelectorAll("img, svg, canvas")) {
  if (!(picture.getAttribute("alt") || picture.getAttribute("aria-label") || "").trim()) found.pictures.push(picture.outerHTML.slice(0, 80));
}

// Words of a figure that lie on each other. Boxes of slanted words say nothing, and those of all words are higher than their letters.
for (const figure of document.querySelectorAll("svg")) {
  const texts = [...figure.querySelectorAll("text")].filter(text => !/rotate\(-?(?!0|90|270)\d/.test(text.getAttribute("transform")));
  const boxes = texts.map(text => text.getBoundingClientRect());
  boxes.forEach((a, one) => boxes.slice(0, one).forEach((b, other) => {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left), high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 1 && high > 0.35 * Math.min(a.height, b.height)) found.overlap.push(`${name(texts[one])} on ${name(texts[other])}`);
  }));
}

let level = 0;
for (const heading of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
  const own = Number(heading.tagName[1]);
  if (own > level + 1 || (own === 1) !== (level === 0)) found.headings.push(name(heading));
  level = own;
}

for (const link of document.querySelectorAll("a")) {
  const target = link.href.baseVal ?? link.getAttribute("href");
  if (!target.startsWith("#") || !document.getElementById(decodeURIComponent(target.slice(1)))) found.links.push(target);
}

const parse = colour => { const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number); return { rgb: [r, g, b], a }; };
const over = (top, share, below) => top.map((value, at) => share * value + (1 - share) * below[at]);
const luminance = rgb => rgb.map(value => value / 255).map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
  .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
const contrast = (a, b) => { const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x); return (high + 0.05) / (low + 0.05); };
const ground = element => {
  let colour = [255, 255, 255];
  const layers = [];
  for (let at = element; at; at = at.parentElement) layers.unshift(parse(getComputedStyle(at).backgroundColor));
  for (const layer of layers) colour = over(layer.rgb, layer.a, colour);
  return colour;
};
const check = (element, ink, below) => {
  const ratio = contrast(over(ink.rgb, ink.a, below), below);
  if (ratio < LEAST_CONTRAST) found.contrast.push(`${ratio.toFixed(2)} ${name(element)} rgb(${ink.rgb}) on rgb(${below.map(Math.round)})`);
};

const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (words.nextNode()) {
  const element = words.currentNode.parentElement;
  if (!words.currentNode.textContent.trim() || element.closest("svg, script, style") || !shown(element)) continue;
  check(element, parse(getComputedStyle(element).color), ground(element));
}
// Words in a figure may stand on a filled square or band: everything painted below their middle counts, except marks of trials.
for (const text of document.querySelectorAll("svg text")) {
  text.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
  const box = text.getBoundingClientRect();
  let below = ground(text.ownerSVGElement);
  for (const layer of document.elementsFromPoint(box.x + box.width / 2, box.y + box.height / 2).reverse()) {
    if (layer.tagName !== "path" || getComputedStyle(layer).fill === "none") continue;
    const style = getComputedStyle(layer), fill = parse(style.fill);
    below = over(fill.rgb, fill.a * style.fillOpacity * style.opacity, below);
  }
  const style = getComputedStyle(text), ink = parse(style.fill);
  check(text, { rgb: ink.rgb, a: ink.a * style.fillOpacity * style.opacity }, below);
}
return found;
