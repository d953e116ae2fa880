#include "server/environment.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.h"
#include "server/file_checks.h"
#include "server/server.h"

namespace poplar::server {

namespace {

std::string_view key_of(net::TlsFault::Option option, std::string_view ciphers_key) {
    switch (option) {
        case net::TlsFault::Option::certificate: break;
        case net::TlsFault::Option::private_key: return "tls.private_key";
        case net::TlsFault::Option::client_ca: return "tls.client_ca";
        case net::TlsFault::Option::ciphers: return ciphers_key;
    }
    return "tls.certificate";
}

Result<std::shared_ptr<const net::TlsContext>> load_tls(const Config& config, std::string_view ciphers_key,
                                                        const std::string& ciphers) {
    const auto& tls = config.tls;
    auto context = net::TlsContext::load({tls.certificate, tls.private_key, tls.client_ca, ciphers});
    if (context) return std::move(*context);
    const auto& fault = context.error();
    return fail(Errc::invalid, config.error_at(key_of(fault.option, ciphers_key), fault.why));
}

}  // namespace

Result<TlsContexts> load_tls(const Config& config) {
    if (!config.tls.configured()) return TlsContexts();
    auto or_else = [](const std::string& given, const char* usual) { return given.empty() ? usual : given; };
    auto readers = load_tls(config, "tls.ciphers", or_else(config.tls.ciphers, net::kStrictCiphers));
    if (!readers) return pass_on(readers);
    auto smtp = load_tls(config, "smtp.tls_ciphers", or_else(config.smtp_ciphers, net::kOpportunisticCiphers));
    if (!smtp) return pass_on(smtp);
    return TlsContexts{std::move(*readers), std::move(*smtp)};
}

std::vector<std::string> tls_warnings(const Config& config, const TlsContexts& contexts) {
    std::vector<std::string> lines;
    if (!contexts.readers) return lines;
    for (const auto& warning : contexts.readers->warnings())
        lines.push_back(config.error_at("tls.certificate", warning));
    return lines;
}

void log_warnings(const std::vector<std::string>& lines) {
    for (const auto& line : lines) log::warning("server.config_warning", {{"reason", line}});
}

Result<std::shared_ptr<auth::TokenVerifier>> load_tokens(const Config& config) {
    if (!config.sasl.tokens.enabled()) return nullptr;
    auto verifier = auth::TokenVerifier::load(config.sasl.tokens, system_clock());
    if (!verifier) return fail(Errc::invalid, config.error_at("oauth", verifier.error().detail()));
    return verifier;
}

Result<Abroad> load_abroad(const Config& config) {
    Abroad abroad{std::make_unique<net::Workers>(std::size_t(1)), nullptr, nullptr, nullptr};
    auto tls = net::ClientTls::load(config.outbound.ca_file);
    if (!tls) return fail(Errc::invalid, config.error_at("queue.ca_file", tls.error().detail()));
    abroad.tls = std::move(*tls);
    auto dns = dns::Resolver::make(abroad.worker->executor(0), config.dns);
    if (!dns) return fail(Errc::invalid, config.error_at("dns", dns.error().detail()));
    abroad.dns = std::move(*dns);
    if (!config.inspection.rspamd.url.empty()) {
        auto rspamd = inspection::Rspamd::make(config.inspection.rspamd);
        if (!rspamd) return fail(Errc::invalid, config.error_at("filter.rspamd.url", rspamd.error().detail()));
        abroad.rspamd = std::move(*rspamd);
    }
    if (!config.inspection.rspamd.controller.empty()) {
        auto teacher = inspection::RspamdTeacher::make(config.inspection.rspamd);
        if (!teacher) return fail(Errc::invalid, config.error_at("filter.rspamd.controller", teacher.error().detail()));
        abroad.teacher = std::move(*teacher);
    }
    for (const auto& options : config.inspection.milters) {
        auto milter = inspection::Milter::make(options);
        if (!milter) return fail(Errc::invalid, config.error_at("filter.milter", milter.error().detail()));
        abroad.milters.push_back(std::move(*milter));
    }
    return abroad;
}

Result<std::optional<process::Identity>> wanted_identity(const Config& config) {
    if (config.user.empty()) return std::optional<process::Identity>();
    auto identity = process::find_identity(config.user, config.group);
    if (!identity) {
        bool group = identity.error().code() == Errc::not_found;
        return fail(Errc::invalid, config.error_at(group ? "group" : "user", identity.error().detail()));
    }
    if (geteuid() != 0 && geteuid() != identity->uid)
        return fail(Errc::invalid, config.error_at("user", "only root can start the server for another user"));
    return std::optional(std::move(*identity));
}

Result<> open_log(const Config& config) {
    try {
        log::configure(config.log.level, config.log.format, config.log.file);
        log::limit_shares(config.log.shares);
        return {};
    } catch (const std::exception& e) {
        return fail(Errc::invalid, config.error_at("log.file", fmt::format("can't be opened: {}", e.what())));
    }
}

Result<std::vector<directory::outside::Outside::Part>> make_parts(
    const Config& config, const std::vector<directory::outside::Prepared>& all) {
    std::vector<directory::outside::Outside::Part> parts;
    for (const auto& one : all) {
        auto source = directory::outside::make_source(one, config.directory.local_case);
        if (!source) return fail(Errc::invalid, config.error_at("directory", source.error().detail()));
        parts.push_back({one.settings, std::move(*source)});
    }
    return parts;
}

Result<std::vector<directory::outside::Prepared>> prepare_directories(const Config& config) {
    auto prepared = directory::outside::prepare(config.directories);
    if (!prepared) return fail(Errc::invalid, config.error_at("directory", prepared.error().detail()));
    return prepared;
}

Findings check_environment(const Config& config) {
    auto identity = wanted_identity(config);
    // Without `user` the server runs as the user who starts it, which need not be the one who runs check-config.
    auto findings = check_files(config, identity && *identity ? std::optional((*identity)->uid) : std::nullopt);
    if (!identity) findings.errors.push_back(identity.error().detail());
    auto tls = load_tls(config);
    if (!tls) findings.errors.push_back(tls.error().detail());
    if (tls) std::ranges::move(tls_warnings(config, *tls), std::back_inserter(findings.warnings));
    if (auto tokens = load_tokens(config); !tokens) findings.errors.push_back(tokens.error().detail());
    if (auto all = prepare_directories(config); !all) findings.errors.push_back(all.error().detail());
    if (auto abroad = load_abroad(config); !abroad) findings.errors.push_back(abroad.error().detail());
    return findings;
}

}  // namespace poplar::server
