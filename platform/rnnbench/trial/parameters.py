"""The parameters of optimisation and training, declared once. No torch."""

from rnnbench.base.parameters import Parameter

# The parameter that names the trained model whose weights a trial starts from; in a trial it is the key of that model's trial.
INIT_FROM = "training.init_from"
# The parameter that says what training computes in; those on the right are for GPUs alone.
PRECISION = "training.precision"
PRECISIONS, ON_GPU = ("float32", "bf16", "tf32", "fp16"), ("tf32", "fp16")
OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop", "adagrad")
_ADAM = {"optimizer.name": ("adam", "adamw")}
_MOMENTUM = {"optimizer.name": ("sgd", "rmsprop")}

OPTIMIZER_PARAMETERS = (
    Parameter("optimizer.name", "choice", "adam", "which optimiser of torch.optim", choices=OPTIMIZERS),
    Parameter("optimizer.lr", "float", 1e-3, "learning rate", above=0.0, high=1e3),
    Parameter("optimizer.weight_decay", "float", 0.0, "L2 penalty (decoupled in adamw)", low=0.0, high=1.0),
    Parameter("optimizer.beta1", "float", 0.9, "decay of the gradient's mean", low=0.0, high=1 - 1e-9, when=_ADAM),
    Parameter("optimizer.beta2", "float", 0.999, "decay of the gradient's square", low=0.0, high=1 - 1e-9, when=_ADAM),
    Parameter("optimizer.momentum", "float", 0.0, "momentum", low=0.0, high=1 - 1e-9, when=_MOMENTUM),
    Parameter(
        "optimizer.lr_scaling",
        "choice",
        "none",
        "one_minus_momentum: the rate is multiplied by 1 - momentum, so that momentum leaves "
        "the length of steps along a constant gradient as it is",
        choices=("none", "one_minus_momentum"),
        when=_MOMENTUM,
        is_later=True,
    ),
    Parameter("optimizer.nesterov", "bool", False, "Nesterov momentum (needs momentum above 0)", when={"optimizer.name": ("sgd",)}),
    Parameter(
        "optimizer.alpha", "float", 0.99, "decay of the gradient's square", low=0.0, high=1 - 1e-9, when={"optimizer.name": ("rmsprop",)}
    ),
)

TRAINING_PARAMETERS = (
    Parameter("training.batch_size", "int", 64, "sequences in a step", low=1, high=1_000_000),
    Parameter(
        INIT_FROM,
        "text",
        None,
        "SWEEP or SWEEP/TRIAL: a trained model whose embedding and recurrent weights the training starts from",
        is_later=True,
    ),
    Parameter(
        "training.bucketing", "bool", False, "whether sequences of similar length share a batch: less padding, less random", is_later=True
    ),
    Parameter(
        PRECISION,
        "choice",
        "float32",
        "what forward and backward passes of training compute in; weights and validation stay float32; tf32 and fp16 on GPUs only",
        choices=PRECISIONS,
        is_later=True,
    ),
    Parameter("training.clip_norm", "float", None, "largest gradient norm, clipped after backward; null: no clipping", above=0.0),
    Parameter(
        "training.clip_value", "float", None, "largest absolute gradient entry, clipped after backward; null: no clipping", above=0.0
    ),
    Parameter("training.lr_schedule", "choice", "constant", "how the learning rate changes", choices=("constant", "cosine", "plateau")),
    Parameter(
        "training.lr_patience",
        "int",
        3,
        "epochs without a better validation metric before the rate falls",
        low=0,
        high=100_000,
        when={"training.lr_schedule": ("plateau",)},
    ),
    Parameter(
        "training.lr_factor",
        "float",
        0.1,
        "what the rate is multiplied by when it falls",
        above=0.0,
        high=1.0,
        when={"training.lr_schedule": ("plateau",)},
    ),
)
