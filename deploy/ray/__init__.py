"""Files for a Ray on hosts of your own."""
