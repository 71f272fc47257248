# The R kernel: cells run in the global environment. It speaks the lines that agent/driver.py describes.
# Interrupts are let in only while a cell runs, and nothing else is ever cut short.

local({
  hear_from <- fifo("/dev/fd/3", "rb", blocking = TRUE)
  tell_to <- fifo("/dev/fd/4", "wb", blocking = TRUE)
  permit_from <- fifo("/dev/fd/5", "rb", blocking = TRUE)
  permit_to <- fifo("/dev/fd/5", "wb", blocking = TRUE)
  interrupted <- 130L # 128 + SIGINT, as a shell reports it
  most_text <- 512L * 1024L # characters of a shown value or a traceback
  asks <- FALSE
  devices <- integer()
  pictures <- tempfile("pictures-")
  dir.create(pictures)

  # --- what the agent says, and is told ---

  read_exactly <- function(size) {
    parts <- list()
    while (size > 0) {
      part <- readBin(hear_from, "raw", size)
      if (!length(part)) quit("no", 0L)
      parts[[length(parts) + 1L]] <- part
      size <- size - length(part)
    }
    do.call(c, parts)
  }

  read_line <- function() {
    line <- raw()
    while ((byte <- read_exactly(1L)) != 0x0a) line <- c(line, byte)
    rawToChar(line)
  }

  # Returns the words and the payload of the next message of that kind; others are passed over.
  hear <- function(kind) {
    repeat {
      words <- strsplit(read_line(), " ", fixed = TRUE)[[1]]
      size <- if (words[1] == "seen") 0L else as.integer(words[length(words)])
      payload <- if (size) rawToChar(read_exactly(size)) else ""
      Encoding(payload) <- "UTF-8"
      if (words[1] == kind) return(list(words = words, payload = payload))
    }
  }

  tell <- function(..., payload = raw()) {
    words <- vapply(list(...), function(word) utils::URLencode(as.character(word), reserved = TRUE), "")
    message <- c(charToRaw(paste0(paste(words, collapse = " "), "\n")), payload)
    sent <- 0L
    while (sent < length(message)) { # a pipe takes 64 KiB, and a fifo of R's does not say how much it took
      piece <- message[(sent + 1L):min(sent + 4096L, length(message))]
      writeBin(piece, tell_to)
      sent <- sent + length(piece)
    }
  }

  clipped <- function(text, most = most_text) {
    text <- enc2utf8(paste(text, collapse = "\n"))
    if (nchar(text, "chars", allowNA = TRUE) %in% 0:most) text else paste0(substr(text, 1L, most), "…")
  }

  show <- function(parts, result = FALSE) {
    sizes <- unlist(lapply(names(parts), function(mime) c(mime, length(parts[[mime]]))))
    do.call(tell, c(list("display", as.integer(result)), as.list(sizes),
                    list(payload = do.call(c, unname(parts)))))
    hear("seen") # what is printed next must come behind it
  }

  let_interrupts <- function() writeBin(as.raw(0x2e), permit_to)

  # Lets no interrupt come any more. One that has come and found nothing to stop must not stop the next cell.
  hold_interrupts <- function() {
    while (!length(byte <- readBin(permit_from, "raw", 1L))) NULL
    if (byte == 0x21) tryCatch(allowInterrupts(Sys.sleep(1e-4)), interrupt = function(condition) NULL) # the agent's "!"
  }

  # --- pictures: a device that is opened for a plot writes a file for each page ---

  open_device <- function(...) {
    grDevices::png(file.path(pictures, sprintf("%d-%%05d.png", as.integer(proc.time()[["elapsed"]] * 1000))),
                   width = 7, height = 5, units = "in", res = 100, type = "cairo")
    devices <<- c(devices, grDevices::dev.cur())
  }

  show_pictures <- function() {
    for (device in intersect(devices, grDevices::dev.list())) grDevices::dev.off(device)
    devices <<- integer()
    files <- list.files(pictures, full.names = TRUE)
    for (file in files) {
      show(list("image/png" = readBin(file, "raw", file.size(file)), "text/plain" = charToRaw("<plot>")))
    }
    unlink(files)
  }

  # --- running ---

  report <- function(error, trace) {
    message <- clipped(conditionMessage(error), 1000L)
    tell("error", class(error)[1], message, length(trace), payload = trace)
  }

  # Returns where an error came from: the calls of the user's code, each with its line, the innermost last.
  trace_of <- function(error, calls, name, line) {
    ours <- Position(function(call) identical(call, quote(eval(program[at], globalenv()))), calls, right = TRUE)
    calls <- calls[seq_along(calls) > if (is.na(ours)) 0L else ours]
    calls <- Filter(function(call) !identical(call[[1]], as.name(".handleSimpleError")), calls)
    frames <- vapply(calls, function(call) {
      place <- attr(call, "srcref")
      sprintf("  %s%s", clipped(deparse(call, nlines = 1L)[1], 200L),
              if (is.null(place)) "" else sprintf("  (%s)", basename(attr(place, "srcfile")$filename %||% name)))
    }, "")
    frames <- utils::head(frames, -2L)
    if (length(frames) == 1L) frames <- NULL # the line itself says as much
    charToRaw(clipped(c(sprintf("Error in %s, line %d: %s", name, line, conditionMessage(error)), frames, "")))
  }

  `%||%` <- function(a, b) if (is.null(a)) b else a

  # Returns the exit code of a cell. Every visible value is printed, as at R's own prompt; the last is the result.
  run <- function(code, name) {
    source <- srcfilecopy(name, strsplit(code, "\n", fixed = TRUE)[[1]])
    program <- tryCatch(parse(text = code, srcfile = source, keep.source = TRUE), error = identity)
    if (inherits(program, "error")) {
      report(program, charToRaw(clipped(c(conditionMessage(program), ""))))
      return(1L)
    }
    line <- 1L
    calls <- NULL
    tryCatch({
      withCallingHandlers({
        for (at in seq_along(program)) {
          line <- attr(program, "srcref")[[at]][1]
          value <- allowInterrupts(withVisible(eval(program[at], globalenv())))
          if (value$visible) show_value(value$value, at == length(program))
        }
      }, error = function(error) {
        calls <<- sys.calls()
        inner <- Filter(function(call) !is.null(attr(call, "srcref")), calls)
        for (call in inner) {
          place <- attr(call, "srcref")
          if (identical(attr(place, "srcfile")$filename, name)) line <<- place[1]
        }
      })
      0L
    }, interrupt = function(condition) {
      report(simpleCondition("interrupted"), charToRaw("Interrupted\n"))
      interrupted
    }, error = function(error) {
      report(error, trace_of(error, calls, name, line))
      1L
    })
  }

  show_value <- function(value, is_last) {
    if (!is_last) return(allowInterrupts(print(value)))
    # Not capture.output: an interrupt between its sink and what ends that would swallow all output from then on.
    out <- rawConnection(raw(), "w")
    depth <- sink.number()
    on.exit({
      while (sink.number() > depth) sink()
      close(out)
    })
    sink(out)
    allowInterrupts(print(value))
    text <- clipped(sub("\n$", "", rawToChar(rawConnectionValue(out))))
    if (nzchar(text)) show(list("text/plain" = charToRaw(text)), result = TRUE)
  }

  # --- what a cell finds ---

  ask <- function(prompt = "") {
    if (!asks) stop("this run has no one to answer readline(); pass the value in the code", call. = FALSE)
    suspendInterrupts({
      tell("input", prompt, 0L)
      hear("reply")$payload
    })
  }
  tools <- attach(NULL, name = "sandbox")
  assign("readline", ask, tools)
  options(device = open_device, warn = 1L, width = 100L, bitmapType = "cairo", keep.source = TRUE)
  library_folder <- Sys.getenv("R_LIBS_USER")
  if (nzchar(library_folder) && dir.create(library_folder, FALSE, TRUE)) .libPaths(c(library_folder, .libPaths()))

  count <- 0L
  suspendInterrupts(repeat {
    cell <- hear("execute")
    asks <- cell$words[3] == "1"
    count <- count + 1L
    let_interrupts()
    code <- run(cell$payload, sprintf("cell-%d", count))
    show_pictures()
    hold_interrupts()
    tell("done", code)
  })
})
