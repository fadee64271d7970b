# MSTL over day and week, then ETS on what is seasonally adjusted: R's forecast::stlf on a multiple seasonal series.
# Rscript stlf.R SERIES.csv FORECASTS.csv HORIZON: a series a line in; point, lower and upper at 95 % a line each out.
# Prints the processor seconds of the forecasts alone.
suppressMessages(library(forecast))
arguments <- commandArgs(trailingOnly = TRUE)
series <- lapply(strsplit(readLines(arguments[1]), ","), as.numeric)
horizon <- as.integer(arguments[3])
before <- proc.time()
forecasts <- lapply(series, function(values) stlf(msts(values, seasonal.periods = c(24, 168)), h = horizon, level = 95))
spent <- proc.time() - before
lines <- unlist(lapply(forecasts, function(f) c(
  paste(format(as.numeric(f$mean), digits = 10, trim = TRUE), collapse = ","),
  paste(format(as.numeric(f$lower), digits = 10, trim = TRUE), collapse = ","),
  paste(format(as.numeric(f$upper), digits = 10, trim = TRUE), collapse = ",")
)))
writeLines(lines, arguments[2])
cat(spent[["user.self"]] + spent[["sys.self"]], "\n")
