# The Ruby kernel: cells run in one binding of the top level. It speaks the lines that agent/driver.py describes.

module SandboxKernel
  HEAR = IO.for_fd(3, "rb")
  TELL = IO.for_fd(4, "wb")
  PERMIT = IO.for_fd(5, "r+b")
  HEAR.close_on_exec = TELL.close_on_exec = PERMIT.close_on_exec = true
  INTERRUPTED = 130 # 128 + SIGINT, as a shell reports it
  MOST_TEXT = 512 * 1024 # bytes of a shown value or a traceback

  @asks = false
  @pid = Process.pid

  class << self
    # Runs cells until the agent is gone. An interrupt is let in by what is to be interrupted, and by nothing else.
    def serve(scope)
      trap("INT") { Thread.main.raise(Interrupt) }
      Thread.handle_interrupt(Interrupt => :never) { serve_cells(scope) }
    end

    def serve_cells(scope)
      $stdout.sync = $stderr.sync = true
      [$stdout, $stderr].each { |stream| stream.set_encoding("UTF-8") }
      count = 0
      loop do
        words, code = hear("execute")
        @asks = words[2] == "1"
        exit_code = run(scope, code, "cell-#{count += 1}")
        break if Process.pid != @pid # a child that the program forked, which came back from its cell
        tell("done #{exit_code}")
      end
    end

    # Shows values now; one that is a picture's bytes, or offers a form of its own, as that.
    def display(*values, mime: nil)
      values.each { |value| show(forms(value, mime), 0) }
      nil
    end

    # Returns a line of input, without its newline. Raises EOFError where there is no one to answer.
    def ask(prompt, password)
      raise EOFError, "this run has no one to answer; pass the value in the code" unless @asks

      tell("input #{word(prompt)} #{password ? 1 : 0}")
      hear("reply")[1].chomp
    end

    private

    def run(scope, code, name)
      parts = Thread.handle_interrupt(Interrupt => :immediate) do
        PERMIT.syswrite(".")
        value = scope.eval(code, name, 1)
        forms(value, nil) unless value.nil?
      end
      show(parts, 1) if parts
      0
    rescue SystemExit => error
      error.status
    rescue Interrupt => error
      report(error, name)
      INTERRUPTED
    rescue Exception => error # rubocop:disable Lint/RescueException
      report(error, name)
      1
    ensure
      hold_interrupts if Process.pid == @pid
    end

    # Lets no interrupt come any more. One that has come and found nothing to stop must not stop the next cell.
    def hold_interrupts
      return unless PERMIT.readpartial(1) == "!"

      Thread.handle_interrupt(Interrupt => :immediate) { sleep 0.001 }
    rescue Interrupt
      nil
    end

    def report(error, name)
      # The user's own frames, and those of what they call; the kernel's are the last.
      trace = (error.backtrace || []).take_while { |line| !line.start_with?(__FILE__) }
      error.set_backtrace(trace.empty? ? [name] : trace) unless error.is_a?(SyntaxError)
      text = error.full_message(highlight: false, order: :top)
      text = text.lines.reject { |line| line.include?(__FILE__) }.join
      text = clipped(text.end_with?("\n") ? text : "#{text}\n")
      tell("error #{word(error.class.name)} #{word(error.message[0, 1000])} #{text.bytesize}", text)
    end

    MAGIC = { "image/png" => "\x89PNG\r\n".b, "image/jpeg" => "\xFF\xD8\xFF".b, "image/gif" => "GIF8".b }.freeze

    def forms(value, mime)
      if value.is_a?(String)
        head = value.byteslice(0, 8).b
        mime ||= MAGIC.keys.find { |kind| head.start_with?(MAGIC[kind]) }
        return { mime => value.b, "text/plain" => "<#{mime}>" } if mime
      end
      { "text/plain" => clipped(inspected(value)) }
    end

    def inspected(value)
      value.inspect.dup.force_encoding("UTF-8").scrub
    rescue StandardError => error
      "<#{value.class} whose inspect raised #{error.class}>"
    end

    def show(parts, result)
      sizes = parts.map { |mime, data| "#{word(mime)} #{data.bytesize}" }.join(" ")
      tell("display #{result} #{sizes}", *parts.values)
      hear("seen") if Thread.current == Thread.main # what is printed next must come behind it
    end

    def clipped(text)
      text.bytesize <= MOST_TEXT ? text : "#{text.byteslice(0, MOST_TEXT).scrub('')}…"
    end

    # Returns the words and the payload of the next message of that kind; others are passed over.
    def hear(kind)
      loop do
        words = (HEAR.gets || Process.exit!(0)).split
        payload = words[0] == "seen" ? "" : HEAR.read(words[-1].to_i).force_encoding("UTF-8")
        return words, payload if words[0] == kind
      end
    end

    def tell(line, *payload)
      return if Process.pid != @pid

      # A whole message, or none: an interrupt in its midst would leave the agent waiting for the rest.
      Thread.handle_interrupt(Interrupt => :never) do
        TELL.syswrite(["#{line}\n", *payload].map(&:b).join)
      end
    end

    def word(text)
      text.b.gsub(/[^\w.\/-]/n) { |byte| format("%%%02X", byte.ord) }
    end
  end
end

module Kernel
  # Asks whoever runs the cell, as gets asks whoever sits at the terminal.
  def gets(*)
    "#{SandboxKernel.ask('', false)}\n"
  end

  def display(*values, **options) = SandboxKernel.display(*values, **options)
end

$stdin.define_singleton_method(:gets) { |*| "#{SandboxKernel.ask('', false)}\n" }
$PROGRAM_NAME = "cell"
SandboxKernel.serve(TOPLEVEL_BINDING.dup)
