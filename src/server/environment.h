#pragma once
// Everything that the configuration names and that can be wrong in itself: certificate, tokens, other directories,
// user. It is loaded before the server starts, and most of it when somebody only checks the configuration.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "auth/token.h"
#include "base/error.h"
#include "directory/outside/outside.h"
#include "dns/resolver.h"
#include "inspection/milter.h"
#include "inspection/rspamd.h"
#include "net/outgoing.h"
#include "net/tls.h"
#include "net/workers.h"
#include "process/privileges.h"
#include "server/config.h"

namespace poplar::server {

/// The contexts of TLS handshakes. Null if TLS is not configured.
struct TlsContexts {
    std::shared_ptr<const net::TlsContext> readers, smtp;
};

Result<TlsContexts> load_tls(const Config& config);
std::vector<std::string> tls_warnings(const Config& config, const TlsContexts& contexts);
void log_warnings(const std::vector<std::string>& lines);

/// Null: tokens are not configured.
Result<std::shared_ptr<auth::TokenVerifier>> load_tokens(const Config& config);

/// Everything that reaching other servers takes.
struct Abroad {
    std::unique_ptr<net::Workers> worker;  ///< one thread: all that outbound/ does
    std::unique_ptr<dns::Resolver> dns;
    std::shared_ptr<const net::ClientTls> tls;
    std::unique_ptr<inspection::Rspamd> rspamd;                    ///< null: it is not asked
    std::unique_ptr<inspection::RspamdTeacher> teacher = nullptr;  ///< null: nobody learns
    std::vector<std::unique_ptr<inspection::Milter>> milters = {};
};

Result<Abroad> load_abroad(const Config& config);

Result<std::optional<process::Identity>> wanted_identity(const Config& config);
Result<> open_log(const Config& config);

Result<std::vector<directory::outside::Prepared>> prepare_directories(const Config& config);
/// Makes the sources that are asked of everything that was read and forked with the rights of the user at the start.
Result<std::vector<directory::outside::Outside::Part>> make_parts(const Config& config,
                                                                  const std::vector<directory::outside::Prepared>& all);

}  // namespace poplar::server
