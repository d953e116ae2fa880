// Octets that strangers send to log in, beside PLAIN (fuzz_sasl): SCRAM's messages, bearer messages, JWTs; and whole
// exchanges with a directory that holds one account, in which nobody may get in without its secrets.
#include "auth/exchange.h"
#include "auth/jwt.h"
#include "auth/sasl.h"
#include "auth/scram.h"
#include "auth/second_code.h"
#include "fuzz/check.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"

namespace poplar::auth {
namespace {

struct OpenChannel final : Channel {
    std::string_view peer() const override { return "192.0.2.1"; }
    bool peer_is_loopback() const override { return false; }
    directory::Service service() const override { return directory::Service::pop3; }
    bool encrypted() const override { return true; }
    bool passwords_allowed() const override { return true; }
    std::string binding(std::string_view type) const override { return type == "tls-exporter" ? "binding" : ""; }
    std::span<const std::string> certificate_addresses() const override { return addresses; }
    std::vector<std::string> addresses{"nobody@example.org"};
};

struct NoTokens final : TokenVerifier {
    Task<Result<TokenHolder>> holder_of(std::string) override { co_return fail(Errc::denied, "token: no good"); }
};

struct World {
    World() {
        options.failure_delay = std::chrono::milliseconds(0);
        options.failures_per_peer = options.failures_per_account = options.failures_per_pair = 0;
        options.cache_ttl = std::chrono::seconds(0);
        test::run(directory.add_domain("example.org"));
        // A plain stored password, so that no round costs an Argon2; unlikely to be guessed.
        test::run(directory.add_account("a@example.org", {"{PLAIN}kX8vQ2mN7pL4wR9t", keys()}));
        test::run(directory.set_shared_secret("a@example.org", "kX8vQ2mN7pL4wR9u"));
        sasl_options.mechanisms = all_mechanisms();
        authenticator.emplace(directory, options);
        sasl.emplace(*authenticator, clock, sasl_options, std::make_shared<NoTokens>());
    }
    static std::string keys() { return to_string(derive_scram_keys(ScramHash::sha256, "kX8vQ2mN7pL4wR9v", 4096)); }

    test::MemoryEngine engine;
    test::ManualClock clock;
    directory::Directory directory{engine, clock, {}};
    Options options;
    SaslOptions sasl_options;
    OpenChannel channel;
    std::optional<Authenticator> authenticator;
    std::optional<Sasl> sasl;
};

void check_exchange(fuzz::Input in) {
    static World world;
    // Checked by a hash where there is no account: too slow here.
    auto mechanism = all_mechanisms()[in.number() % all_mechanisms().size()];
    if (mechanism == Mechanism::plain || mechanism == Mechanism::login) return;
    auto exchange = world.sasl->begin(name_of(mechanism), world.channel);
    CHECK(exchange);
    std::vector<std::string> lines;
    auto rest = in.rest();
    while (lines.size() < 6) {
        auto end = std::min(rest.find('\n'), rest.size());
        lines.emplace_back(rest.substr(0, end));
        if (end == rest.size()) break;
        rest.remove_prefix(end + 1);
    }
    bool silent = lines[0].empty();
    auto step = test::run((*exchange)->start(silent ? std::nullopt : std::optional(lines[0])));
    for (std::size_t i = 1; i < lines.size() && step; ++i) {
        CHECK(std::holds_alternative<Challenge>(*step));
        step = test::run((*exchange)->respond(lines[i]));
    }
    CHECK(!step || std::holds_alternative<Challenge>(*step));  // nobody gets in
}

/// Nobody proves that they know the password of such keys.
void check_proof(const ScramClientFirst& first, const ScramKeys& keys, std::string_view in) {
    if (auto proof = ScramServer(first, keys, "b", "").read_proof(in)) CHECK(!proof->answer(keys));
}

void check_messages(std::string_view in) {
    if (auto first = parse_scram_client_first(in)) {
        CHECK(first->gs2_text + first->bare == in);
        CHECK(!first->name.empty() && !first->nonce.empty() && first->nonce.find(',') == first->nonce.npos);
        check_proof(*first, pretended_scram_keys(ScramHash::sha256, "s", "n", {4096}), in);
    }
    ScramClientFirst first;
    first.nonce = "a";
    check_proof(first, pretended_scram_keys(ScramHash::sha1, "s", "n", {4096}), in);
    for (auto message : {parse_oauthbearer(in), parse_xoauth2(in)})
        if (message) CHECK(!message->token.empty() && in.contains(message->token));
    if (auto cram = parse_cram(in)) CHECK(cram->digest.size() == 32 && in.starts_with(cram->name));
    if (auto split = split_code(in)) {
        CHECK(!split->password.empty() && in.starts_with(split->password));
        CHECK(split_code(split->password + split->code)->code == split->code);
    }
    if (auto keys = parse_scram_keys(in)) CHECK(parse_scram_keys(to_string(*keys)) == *keys);
}

void check_jwt(std::string_view in) {
    // RFC 8037 app. A.2's public key; its private key signs nothing that comes here.
    static const auto keys = JwtKeys::parse({},
                                            "-----BEGIN PUBLIC KEY-----\n"
                                            "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
                                            "-----END PUBLIC KEY-----\n",
                                            "key");
    CHECK(keys);
    CHECK(!keys->holder_of(in, Timestamp(std::chrono::seconds(1'000'000'000))));
    (void)looks_like_jwt(in);
}

}  // namespace
}  // namespace poplar::auth

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::fuzz::Input in(data, size);
    switch (in.number() % 3) {
        case 0: poplar::auth::check_exchange(in); break;
        case 1: poplar::auth::check_messages(in.rest()); break;
        default: poplar::auth::check_jwt(in.rest()); break;
    }
    return 0;
}
