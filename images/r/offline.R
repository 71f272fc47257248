# Lets install.packages say at once, in one line, why it reaches no repository; R would blame the package. A folder, or a
# server of the sandbox's own, is still reached.
setHook(packageEvent("utils", "onLoad"), function(...) {
  space <- asNamespace("utils")
  install <- space$install.packages
  has_way_out <- function() {
    any(nzchar(Sys.getenv(c("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")))) ||
      length(readLines("/proc/net/route", warn = FALSE)) > 1L # its first line names the columns
  }
  explained <- function(pkgs, ..., repos = getOption("repos"), contriburl = repos) {
    if (!all(grepl("^file:|//(127\\.|localhost)", contriburl)) && !has_way_out()) {
      stop("This sandbox has no network, so no package repository can be reached. ",
           "What changes that is the setting network (--network).", call. = FALSE)
    }
    if (missing(contriburl)) install(pkgs, ..., repos = repos) else install(pkgs, ..., contriburl = contriburl)
  }
  unlockBinding("install.packages", space)
  space$install.packages <- explained
  lockBinding("install.packages", space)
})
