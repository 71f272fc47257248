# Lets gem say at once, in one line, why it reaches no index. A server of the sandbox's own is still reached.
require "rubygems/remote_fetcher"
require "socket"

module SandboxOffline
  PROXIES = %w[https_proxy HTTPS_PROXY all_proxy ALL_PROXY].freeze

  def fetch_path(*)
    super
  rescue Gem::RemoteFetcher::FetchError
    raise if PROXIES.any? { |name| ENV[name] } || Socket.getifaddrs.any? { |one| one.addr&.ip? && !loopback?(one.addr) }

    warn "ERROR:  This sandbox has no network, so no gem server can be reached. " \
         "What changes that is the setting network (--network)."
    raise Gem::SystemExitException, 2
  end

  private

  def loopback?(address) = address.ipv4_loopback? || address.ipv6_loopback?
end

Gem::RemoteFetcher.prepend(SandboxOffline)
