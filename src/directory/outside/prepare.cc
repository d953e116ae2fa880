// From the settings of directories to sources that can be asked.
#include <fmt/format.h>
#include <sys/stat.h>

#include <fstream>

#include "directory/outside/http.h"
#include "directory/outside/ldap.h"
#include "directory/outside/outside.h"
#include "directory/outside/pam.h"
#include "directory/outside/passwd_file.h"
#include "directory/outside/pooled.h"
#include "directory/outside/postgresql.h"
#include "directory/outside/sqlite.h"

namespace poplar::directory::outside {

namespace {

bool is_there(const std::string& file) {
    struct stat found{};
    return ::stat(file.c_str(), &found) == 0;
}

Result<Prepared> prepare(const Settings& settings) {
    Prepared prepared{.settings = settings};
    if (!settings.ca_file.empty() && !is_there(settings.ca_file))
        return fail(Errc::invalid, fmt::format("ca_file: {} is not there", settings.ca_file));
    if (settings.source == Kind::pam && !is_there("/etc/pam.d/" + settings.service) &&
        !is_there("/usr/lib/pam.d/" + settings.service))
        return fail(Errc::invalid, fmt::format("service: there is no /etc/pam.d/{}", settings.service));
    if (const auto& file = settings.bind_password_file; !file.empty()) {
        std::ifstream in(file);
        if (!in || !std::getline(in, prepared.secret) || prepared.secret.empty())
            return fail(Errc::invalid, fmt::format("bind_password_file: {} can't be read, or is empty", file));
    }
    return prepared;
}

}  // namespace

Result<std::vector<Prepared>> prepare(const std::vector<Settings>& directories) {
    std::vector<Prepared> all;
    for (const auto& settings : directories) {
        auto prepared = prepare(settings);
        if (!prepared) return pass_on(prepared);
        all.push_back(std::move(*prepared));
    }
    return all;
}

Result<std::vector<std::shared_ptr<PamProcess>>> start_pam(const std::vector<Settings>& directories) {
    std::vector<std::shared_ptr<PamProcess>> all;
    for (const auto& settings : directories) {
        std::shared_ptr<PamProcess> process;
        if (settings.source == Kind::pam) {
            auto started = PamProcess::start(settings.connections);
            if (!started) return pass_on(started);
            process = std::move(*started);
        }
        all.push_back(std::move(process));
    }
    return all;
}

Result<std::unique_ptr<Source>> make_source(const Prepared& prepared, mail::LocalPartCase local_case) {
    const auto& settings = prepared.settings;
    Pooled::Connect connect;
    switch (settings.source) {
        case Kind::passwd_file: return make_passwd_file(settings, local_case);
        case Kind::http: return make_http(settings);
        case Kind::ldap: connect = [settings, secret = prepared.secret] { return make_ldap(settings, secret); }; break;
        case Kind::pam: connect = [settings, pam = prepared.pam] { return PamProcess::connect(pam, settings); }; break;
        case Kind::postgresql: connect = [settings] { return make_postgresql(settings); }; break;
        case Kind::sqlite: connect = [settings] { return make_sqlite(settings); }; break;
        case Kind::none: return fail(Errc::invalid, "source is missing");
    }
    return std::make_unique<Pooled>(std::move(connect), settings.connections, settings.waiting);
}

}  // namespace poplar::directory::outside
