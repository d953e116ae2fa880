#pragma once
// The other end of an exchange, for tests: a connection that has what it is told to have, and GNU SASL's client.
#include <gsasl.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "auth/exchange.h"

namespace poplar::auth {

struct FakeChannel final : Channel {
    std::string_view peer() const override { return peer_address; }
    bool peer_is_loopback() const override { return false; }
    directory::Service service() const override { return login_for; }
    bool encrypted() const override { return tls; }
    bool passwords_allowed() const override { return tls || plaintext; }
    std::string binding(std::string_view type) const override {
        auto found = bindings.find(std::string(type));
        return tls && found != bindings.end() ? found->second : std::string();
    }
    std::span<const std::string> certificate_addresses() const override { return addresses; }

    std::string peer_address = "192.0.2.1";
    directory::Service login_for = directory::Service::pop3;
    bool tls = true, plaintext = false;
    std::map<std::string, std::string> bindings{{"tls-exporter", std::string(32, 'e')},
                                                {"tls-server-end-point", std::string(32, 's')}};
    std::vector<std::string> addresses;
};

/// GNU SASL's client, as an independent peer.
class GnuClient {
public:
    GnuClient(const std::string& mechanism, const std::map<Gsasl_property, std::string>& properties) {
        EXPECT_EQ(gsasl_init(&context_), GSASL_OK);
        EXPECT_EQ(gsasl_client_start(context_, mechanism.c_str(), &session_), GSASL_OK) << mechanism;
        for (auto& [name, value] : properties) EXPECT_EQ(gsasl_property_set(session_, name, value.c_str()), GSASL_OK);
    }
    ~GnuClient() {
        gsasl_finish(session_);
        gsasl_done(context_);
    }
    /// Its answer; nothing if it fails.
    std::optional<std::string> answer(const std::string& challenge) {
        char* out = nullptr;
        std::size_t size = 0;
        result = gsasl_step(session_, challenge.data(), challenge.size(), &out, &size);
        if (result != GSASL_OK && result != GSASL_NEEDS_MORE) return std::nullopt;
        std::string text(out, size);
        gsasl_free(out);
        return text;
    }
    int result = GSASL_NEEDS_MORE;

private:
    Gsasl* context_ = nullptr;
    Gsasl_session* session_ = nullptr;
};

}  // namespace poplar::auth
