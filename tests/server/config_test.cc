// The configuration: keys, defaults, mistakes, and the page that is made from the keys.
#include "server/config.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "server/settings.h"

namespace poplar::server {
namespace {

Config good(std::string_view text) {
    auto config = parse_config(text, "p.toml");
    if (!config) {
        ADD_FAILURE() << config.error().lines.front();
        return {};
    }
    return std::move(*config);
}

TEST(Config, TakesTheSampleOfARealInstallation) {
    auto config = good(R"(
hostname = "Mail.Example.ORG"
data_dir = "/srv/poplar"
[listen]
pop3 = ["[::]:110", "127.0.0.1:1110"]
pop3s = ["[::]:995"]
lmtp = ["unix:/run/poplar/lmtp.sock"]
[tls]
certificate = "/etc/c.pem"
private_key = "/etc/k.pem"
[auth]
allow_plaintext = "never"
cache_ttl = "90s"
[limits]
message_size = "30MB"
drain_time = 5
[addresses]
detail_separator = "-"
)");
    EXPECT_EQ(config.hostname, "mail.example.org");
    EXPECT_EQ(config.engine.directory, "/srv/poplar");
    EXPECT_EQ(config.listen.at("pop3"), (Addresses{"[::]:110", "127.0.0.1:1110"}));
    EXPECT_TRUE(config.listen.at("smtp").empty());
    EXPECT_EQ(config.allow_plaintext, session::AllowPlaintext::never);
    EXPECT_EQ(config.auth.cache_ttl, std::chrono::seconds(90));
    EXPECT_EQ(config.delivery.message_octets, 30'000'000u);
    EXPECT_EQ(config.drain_time, std::chrono::seconds(5));
    EXPECT_EQ(config.directory.detail_separator, '-');
}

TEST(Config, ListensOnTheUsualPortsWhenTheFileHasNoListenSection) {
    auto plain = good("hostname = \"a.example\"");
    EXPECT_EQ(plain.listen.at("pop3"), Addresses{"[::]:110"});
    EXPECT_TRUE(plain.listen.at("pop3s").empty());
    auto tls = good("[tls]\ncertificate = \"/c\"\nprivate_key = \"/k\"");
    EXPECT_EQ(tls.listen.at("pop3s"), Addresses{"[::]:995"});
}

TEST(Config, TakesTheMachinesNameForAnAbsentHostname) { EXPECT_FALSE(good("").hostname.empty()); }

TEST(Config, SaysInOneLineWhatIsWrongAndWhere) {
    struct Case {
        std::string_view text, line;
    };
    for (auto [text, line] : {
             Case{"hostnmae = \"x\"", "p.toml:1: hostnmae: unknown key; did you mean \"hostname\"?"},
             {"\n[limits]\nmesage_size = 1",
              "p.toml:3: limits.mesage_size: unknown key; did you mean \"limits.message_size\"?"},
             {"[lisen]\npop3 = []", "p.toml:1: lisen: unknown section; did you mean \"listen\"?"},
             {"[zzzzzzzz]", "p.toml:1: zzzzzzzz: unknown section"},
             {"message_size = 5", "p.toml:1: message_size: unknown key; did you mean \"limits.message_size\"?"},
             {"listen = 5", "p.toml:1: listen: is a section: write [listen]"},
             {"hostname = 5", "p.toml:1: hostname: must be a text in quotes, not an integer"},
             {"hostname = \"\"", "p.toml:1: hostname: must not be empty"},
             {"workers = \"2\"", "p.toml:1: workers: must be a number, not a text"},
             {"workers = -1", "p.toml:1: workers: must be between 0 and 1024"},
             {"data_dir = \"mail\"", "p.toml:1: data_dir: must be an absolute path"},
             {"[storage]\nretention = \"soon\"",
              "p.toml:2: storage.retention: \"soon\" is not a duration like \"30s\" or \"10m\""},
             {"[storage]\nretention = \"500ms\"", "p.toml:2: storage.retention: must be whole seconds"},
             {"[storage]\nretention = -3", "p.toml:2: storage.retention: must not be negative"},
             {"[storage]\nindex_wal = 1", "p.toml:2: storage.index_wal: must be true or false, not an integer"},
             {"[limits]\nmessage_size = \"50 apples\"",
              "p.toml:2: limits.message_size: \"50 apples\" is not a size like \"50MB\" or \"64MiB\""},
             {"[limits]\nmessage_size = 1.5",
              "p.toml:2: limits.message_size: must be a size like \"50MB\", not a fraction"},
             {"[auth]\nallow_plaintext = \"maybe\"",
              "p.toml:2: auth.allow_plaintext: must be one of \"never\", \"loopback\", \"always\""},
             {"[auth]\nallow_plaintext = true",
              "p.toml:2: auth.allow_plaintext: must be one of \"never\", \"loopback\", \"always\", not true or false"},
             {"[listen]\npop3 = \"[::]:110\"",
              "p.toml:2: listen.pop3: must be a list of addresses like [\"[::]:110\"], not a text"},
             {"[proxy_protocol]\nsmtp = [\"10.0.0.1/8\"]",
              "p.toml:2: proxy_protocol.smtp: \"10.0.0.1/8\" has bits set behind its 8"},
             {"[proxy_protocol]\nsmtp = \"unix\"",
              "p.toml:2: proxy_protocol.smtp: must be a list of networks like [\"192.0.2.0/24\"], not a text"},
             {"[listen]\npop3 = [110]", "p.toml:2: listen.pop3: must be a list of texts, not an integer"},
             {"[listen]\npop3s = [\"[::]:995\"]", "p.toml:2: listen.pop3s: needs a certificate: add a [tls] section"},
             {"[listen]\nlmtp = [\"unix:/l\", \"127.0.0.1:25\"]",
              "p.toml:2: listen.lmtp: LMTP must not be served on port 25, which is SMTP's"},
             {"[tls]\ncertificate = \"/c\"", "p.toml:2: tls.certificate: needs tls.private_key too"},
             {"[tls]", "p.toml:1: tls: needs certificate and private_key"},
             {"group = \"mail\"", "p.toml:1: group: needs user too"},
             {"listener = 5", "p.toml:1: listener: must be sections of the form [[listener]], not an integer"},
             {"[listener]\nprotocol = \"pop3\"",
              "p.toml:1: listener: must be sections of the form [[listener]], not a section"},
             {"[[listener]]\nprotocol = \"pop3\"",
              "p.toml:1: listener: each [[listener]] needs a protocol and an address"},
             {"[[listener]]\naddress = \"[::]:1\"",
              "p.toml:1: listener: each [[listener]] needs a protocol and an address"},
             {"[[listener]]\nprotocol = \"pop3\"\naddress = \"[::]:1\"\n[[listener]]\nadress = \"[::]:2\"",
              "p.toml:1: listener: the 2nd [[listener]]: unknown key \"adress\"; did you mean \"address\"?"},
             {"[[listener]]\nprotocol = \"jmap\"",
              "p.toml:1: listener: the 1st [[listener]]: protocol: must be one of \"pop3\", \"pop3s\", \"imap\", "
              "\"imaps\", \"smtp\", \"submission\", \"submissions\", \"lmtp\", \"sieve\", \"policy\""},
             {"[[listener]]\nprotocol = \"smtp\"\naddress = \"[::]:1\"\nxclient = [\"10.0.0.1/8\"]",
              "p.toml:1: listener: the 1st [[listener]]: xclient: \"10.0.0.1/8\" has bits set behind its 8"},
             {"[[listener]]\nprotocol = \"pop3\"\naddress = \"[::]:1\"\nxclient = [\"10.0.0.0/8\"]",
              "p.toml:1: listener: [::]:1: xclient is for smtp, submission and lmtp"},
             {"[[listener]]\nprotocol = \"pop3s\"\naddress = \"[::]:1\"",
              "p.toml:1: listener: [::]:1 needs a certificate: add a [tls] section"},
             {"[[listener]]\nprotocol = \"pop3\"\naddress = \"[::]:110\"\n[listen]\npop3 = [\"127.0.0.1:110\"]",
              "p.toml:1: listener: [::]:110: listen.pop3 has 127.0.0.1:110 already"},
             {"[pop3]\ngreeting = \"hello <1@x>\"",
              "p.toml:2: pop3.greeting: must not begin with \"[\" or contain \"<\""},
             {"[pop3]\ngreeting = \"[IN-USE]\"", "p.toml:2: pop3.greeting: must not begin with \"[\" or contain \"<\""},
             {"[addresses]\ndetail_separator = \"--\"",
              "p.toml:2: addresses.detail_separator: must be one ASCII character other than \"@\", \".\" and a quote"},
         }) {
        auto config = parse_config(text, "p.toml");
        ASSERT_FALSE(config) << text;
        ASSERT_EQ(config.error().lines.size(), 1u) << text;
        EXPECT_EQ(config.error().lines.front(), line);
    }
}

TEST(Config, ReadsFurtherListeners) {
    auto config = good(R"([[listener]]
protocol = "pop3"
address = "10.0.0.5:1110"
proxy_protocol = ["10.0.0.0/28"]
[[listener]]
protocol = "smtp"
address = "unix:/s"
xclient = ["unix"]
)");
    ASSERT_EQ(config.listeners.size(), 2u);
    EXPECT_EQ(config.listeners[0].protocol, "pop3");
    EXPECT_EQ(config.listeners[0].address, "10.0.0.5:1110");
    EXPECT_EQ(config.listeners[0].proxies, NetworkTexts{"10.0.0.0/28"});
    EXPECT_EQ(config.listeners[1].xclient, NetworkTexts{"unix"});
    EXPECT_TRUE(config.listen.at("pop3").empty()) << "and nothing else is listened on";
    auto changes = compare(config, good("[[listener]]\nprotocol = \"smtp\"\naddress = \"unix:/s\""));
    EXPECT_TRUE(std::ranges::find(changes.restart, "listener") != changes.restart.end());
}

TEST(Config, NamesTheLineOfASyntaxError) {
    auto config = parse_config("hostname = \"a\"\nworkers = = 3\n", "p.toml");
    ASSERT_FALSE(config);
    EXPECT_TRUE(config.error().lines.front().starts_with("p.toml:2: ")) << config.error().lines.front();
    EXPECT_EQ(config.error().lines.front().find('\n'), std::string::npos);
}

TEST(Config, TellsOfEveryErrorAtOnce) {
    auto config = parse_config("workers = -1\nuser = 5\n[log]\nlevel = \"loud\"\n", "p.toml");
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().lines.size(), 3u);
}

TEST(Config, TellsErrorsInTheOrderOfTheFile) {
    auto config = parse_config("workers = -1\nhostname = 5\n\"a\\nb\" = 1\n", "p.toml");
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().lines, (std::vector<std::string>{
                                        "p.toml:1: workers: must be between 0 and 1024",
                                        "p.toml:2: hostname: must be a text in quotes, not an integer",
                                        "p.toml:3: a?b: unknown key",
                                    }));
}

TEST(Config, SaysThatTheFileIsMissing) {
    auto config = load_config("/nonexistent/p.toml");
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().lines.front(), "/nonexistent/p.toml: cannot be read: No such file or directory");
}

TEST(Config, RefusesAFolderInPlaceOfAFile) { EXPECT_FALSE(load_config("/")); }

TEST(Config, TakesAnEmptyFile) { EXPECT_TRUE(load_config("/dev/null")); }

TEST(Config, TellsLiveChangesFromThoseThatNeedARestart) {
    auto before = good("workers = 1");
    auto after = good("workers = 2\n[log]\nlevel = \"debug\"\n[limits]\ndrain_time = \"5s\"");
    auto changes = compare(before, after);
    EXPECT_EQ(changes.restart, std::vector<std::string>{"workers"});
    EXPECT_EQ(changes.live, (std::vector<std::string>{"limits.drain_time", "log.level"}));
    auto none = compare(before, before);
    EXPECT_TRUE(none.live.empty() && none.restart.empty());
}

TEST(Config, ReadsBackEveryDefaultItShows) {
    Config defaults = good("hostname = \"a.example\"\n[listen]\n");
    for (const auto& key : keys_of(defaults)) {
        auto shown = key.show();
        if (shown == "\"\"") continue;  // keys without a value
        auto dot = key.name.find('.');
        auto text = dot == std::string::npos
                        ? key.name + " = " + shown
                        : "[" + key.name.substr(0, dot) + "]\n" + key.name.substr(dot + 1) + " = " + shown;
        auto again = parse_config(text, "p.toml");
        ASSERT_TRUE(again) << again.error().lines.front();
        const auto back = keys_of(*again);
        EXPECT_EQ(std::ranges::find(back, key.name, &config::Key::name)->show(), shown) << key.name;
    }
}

// The page with its tables made from the keys. A table holds the keys of the section that its first row belongs to.
std::string with_tables(const std::string& page, const std::vector<config::Key>& keys) {
    auto section_of = [](std::string_view key) { return std::string(key.substr(0, key.find('.') + 1)); };
    std::string out;
    std::istringstream in(page);
    bool in_table = false;
    for (std::string line; std::getline(in, line);) {
        const bool row = line.starts_with("| `") && line.find('`', 3) != std::string::npos;
        const auto name = row ? line.substr(3, line.find('`', 3) - 3) : std::string();
        const auto own = [&](const config::Key& key) { return section_of(key.name) == section_of(name); };
        const bool of_keys = row && (in_table || std::ranges::find(keys, name, &config::Key::name) != keys.end());
        if (!of_keys) {
            in_table = false;
            out += line + "\n";
        } else if (!std::exchange(in_table, true)) {
            for (const auto& key : keys)
                if (own(key))
                    out += fmt::format("| `{}`{} | `{}` | {} |\n", key.name, key.applied_by.empty() ? "" : " *",
                                       key.show(), key.words);
        }
    }
    return out;
}

std::vector<std::string> sections_of(const std::vector<config::Key>& keys) {
    std::vector<std::string> sections;
    for (const auto& key : keys)
        if (auto name = key.name.substr(0, key.name.find('.') + 1); std::ranges::find(sections, name) == sections.end())
            sections.push_back(name);
    return sections;
}

TEST(MadePages, ConfigurationPageIsUpToDate) {
    const std::string path = POPLAR_SOURCE_DIR "/docs/operating/configuration.md";
    auto defaults = good("[tls]\ncertificate = \"/c\"\nprivate_key = \"/k\"");  // pop3s has a default only with TLS
    defaults.tls.certificate = defaults.tls.private_key = defaults.hostname = "";
    const auto keys = keys_of(defaults);
    std::stringstream there;
    there << std::ifstream(path).rdbuf();
    const auto made = with_tables(there.str(), keys);
    if (std::getenv("POPLAR_WRITE_PAGES"))
        std::ofstream(path) << made;
    else
        EXPECT_TRUE(there.str() == made)
            << "docs/operating/configuration.md is not what is made from the keys: run scripts/make-pages";
    for (const auto& section : sections_of(keys))
        EXPECT_TRUE(made.contains("\n| `" + section)) << path << " has no table for [" << section << "]";
}

TEST(Keys, EachHasWordsAndALiveOneNamesWhatAppliesIt) {
    Config config;
    for (const auto& key : keys_of(config)) {
        EXPECT_FALSE(key.words.empty()) << key.name;
        EXPECT_TRUE((std::set<std::string_view>{"", "drain_time", "log", "tls"}).contains(key.applied_by)) << key.name;
    }
}

}  // namespace
}  // namespace poplar::server
