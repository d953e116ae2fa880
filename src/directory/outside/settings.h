#pragma once
// The keys of a [[directory]].
#include <chrono>
#include <string>
#include <vector>

namespace poplar::config {
class Keys;
}

namespace poplar::directory::outside {

enum class Kind { none, passwd_file, ldap, pam, postgresql, sqlite, http };

/// One [[directory]].
struct Settings {
    std::vector<std::string> domains = {};  ///< canonical
    Kind source = Kind::none;
    std::chrono::milliseconds timeout = std::chrono::seconds(2);  ///< for an answer
    std::chrono::seconds fresh = std::chrono::minutes(5);         ///< an answer is believed so long without asking
    std::chrono::seconds cache = std::chrono::hours(12);          ///< and so long when nobody answers
    std::size_t connections = 4;                                  ///< questions at a time
    std::size_t waiting = 256;                                    ///< further questions that may wait
    std::size_t entries = 100'000;                                ///< addresses that are remembered in memory

    std::string file = {}, default_scheme = "CRYPT";  // passwd-file
    std::string url = {}, ca_file = {};               // LDAP and HTTP
    // LDAP
    bool starttls = true;  ///< with ldap://
    std::string base = {}, bind_dn = {}, bind_password_file = {}, filter = "(mail={address})";
    std::string verify = {}, password_attribute = {};  ///< "bind", or the attribute; one of them
    std::string service = {}, user = "{local}";        // PAM
    std::string connect = {}, password_query = {};     // SQL
};

void add_settings(config::Keys& keys, std::vector<Settings>& directories);

/// The fault of one by itself, or "".
std::string check(const Settings& settings);

/// The source and where it is, for operators: "LDAP, ldaps://ldap.example.org". Holds no secret.
std::string described(const Settings& settings);

}  // namespace poplar::directory::outside
