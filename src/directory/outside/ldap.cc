#include "directory/outside/ldap.h"

#include <fmt/format.h>
#include <ldap.h>

#include <algorithm>

#include "directory/outside/words.h"

namespace poplar::directory::outside {

namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;

struct Unbind {
    void operator()(LDAP* handle) const { ldap_unbind_ext(handle, nullptr, nullptr); }
};
using Handle = std::unique_ptr<LDAP, Unbind>;

struct FreeMessage {
    void operator()(LDAPMessage* message) const { ldap_msgfree(message); }
};
using Message = std::unique_ptr<LDAPMessage, FreeMessage>;

timeval until(SteadyTime deadline) {
    const auto left = std::max(duration_cast<microseconds>(deadline - SteadyClock::now()), microseconds(1));
    return {.tv_sec = left.count() / 1'000'000, .tv_usec = left.count() % 1'000'000};
}

/// A failure of the connection or of the server, and no word about the account.
Error failure(std::string_view what, int code) {
    const bool late = code == LDAP_TIMEOUT || code == LDAP_TIMELIMIT_EXCEEDED;
    return {late ? Errc::timed_out : Errc::io, fmt::format("LDAP: {}: {}", what, ldap_err2string(code))};
}

/// Results of a bind by which the server says that this account does not get in with this password (RFC 4511 appendix
/// A; servers answer so for locked and expired accounts, too).
bool refuses(int code) {
    switch (code) {
        case LDAP_INVALID_CREDENTIALS:
        case LDAP_INAPPROPRIATE_AUTH:
        case LDAP_CONSTRAINT_VIOLATION:
        case LDAP_UNWILLING_TO_PERFORM:
        case LDAP_INSUFFICIENT_ACCESS:
        case LDAP_NO_SUCH_OBJECT: return true;
        default: return false;
    }
}

class Ldap final : public Connection {
public:
    Ldap(const Settings& settings, const std::string& bind_password)
        : settings_(settings), bind_password_(bind_password) {}

    Result<Answer> ask(const Question& question) override {
        if (!is_compared_whole(question.address.local)) return Answer{};
        const bool reused = search_ != nullptr;
        auto entry = find(question);
        // A server that was started anew, or does not keep idle connections, has closed the one that was kept.
        if (!entry && reused && entry.error().code() == Errc::io) entry = find(question);
        if (!entry) return pass_on(entry);
        Answer answer;
        answer.exists = entry->exists;
        answer.credential = std::move(entry->credential);
        if (!entry->exists || !question.password || !by_bind()) return answer;
        const bool bound_before = verify_ != nullptr;
        auto right = try_password(entry->dn, *question.password, question.deadline);
        if (!right && bound_before && right.error().code() == Errc::io)
            right = try_password(entry->dn, *question.password, question.deadline);
        if (!right) return pass_on(right);
        answer.right = *right;
        return answer;
    }

private:
    struct Entry {
        bool exists = false;
        std::string dn = {}, credential = {};
    };

    bool by_bind() const { return settings_.verify == "bind"; }

    Result<Handle> connect(SteadyTime deadline) const {
        LDAP* made = nullptr;
        int code = ldap_initialize(&made, settings_.url.c_str());
        if (code != LDAP_SUCCESS) return std::unexpected(failure(settings_.url, code));
        Handle handle(made);
        const int version = LDAP_VERSION3, never = LDAP_DEREF_NEVER, demand = LDAP_OPT_X_TLS_HARD, client = 0;
        const auto left = until(deadline);
        auto set = [&](int option, const void* value) {
            if (code == LDAP_OPT_SUCCESS) code = ldap_set_option(made, option, value);
        };
        set(LDAP_OPT_PROTOCOL_VERSION, &version);
        set(LDAP_OPT_DEREF, &never);
        set(LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
        set(LDAP_OPT_NETWORK_TIMEOUT, &left);
        set(LDAP_OPT_TIMEOUT, &left);
        set(LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);
        if (!settings_.ca_file.empty()) set(LDAP_OPT_X_TLS_CACERTFILE, settings_.ca_file.c_str());
        set(LDAP_OPT_X_TLS_NEWCTX, &client);  // behind the others, which it takes over
        if (code != LDAP_OPT_SUCCESS)
            return fail(Errc::io, fmt::format("LDAP: TLS can't be prepared (ca_file {})", settings_.ca_file));
        if (settings_.url.starts_with("ldap://") && settings_.starttls) {
            code = ldap_start_tls_s(made, nullptr, nullptr);
            if (code != LDAP_SUCCESS) return std::unexpected(failure("STARTTLS", code));
        }
        return handle;
    }

    /// The result code of a simple bind; a negative one if it did not come to a result.
    static int bind(LDAP* handle, const std::string& dn, const std::string& password, SteadyTime deadline) {
        berval secret{.bv_len = password.size(), .bv_val = const_cast<char*>(password.data())};
        int id = 0;
        int code = ldap_sasl_bind(handle, dn.c_str(), LDAP_SASL_SIMPLE, &secret, nullptr, nullptr, &id);
        if (code != LDAP_SUCCESS) return code < 0 ? code : LDAP_SERVER_DOWN;
        auto result = await(handle, id, deadline);
        if (!result) return SteadyClock::now() >= deadline ? LDAP_TIMEOUT : LDAP_SERVER_DOWN;
        if (ldap_parse_result(handle, result.get(), &code, nullptr, nullptr, nullptr, nullptr, 0) != LDAP_SUCCESS)
            return LDAP_DECODING_ERROR;
        return code;
    }

    static Message await(LDAP* handle, int id, SteadyTime deadline) {
        auto left = until(deadline);
        LDAPMessage* message = nullptr;
        if (ldap_result(handle, id, LDAP_MSG_ALL, &left, &message) <= 0) {
            ldap_msgfree(message);
            return nullptr;
        }
        return Message(message);
    }

    Result<Entry> find(const Question& question) {
        if (!search_) {
            auto handle = connect(question.deadline);
            if (!handle) return pass_on(handle);
            const int code = bind(handle->get(), settings_.bind_dn, bind_password_, question.deadline);
            if (code != LDAP_SUCCESS) return std::unexpected(failure("bind as " + settings_.bind_dn, code));
            search_ = std::move(*handle);
        }
        auto entry = search(question);
        if (!entry && entry.error().code() != Errc::invalid) search_.reset();
        return entry;
    }

    Result<Entry> search(const Question& question) {
        auto filter = filter_for(settings_.filter, question.address);
        if (!filter) return pass_on(filter);
        std::string wanted = by_bind() ? LDAP_NO_ATTRS : settings_.password_attribute;
        std::array<char*, 2> attributes{wanted.data(), nullptr};
        auto left = until(question.deadline);
        constexpr int kMostEntries = 2;
        int id = 0;
        int code = ldap_search_ext(search_.get(), settings_.base.c_str(), LDAP_SCOPE_SUBTREE, filter->c_str(),
                                   attributes.data(), 0, nullptr, nullptr, &left, kMostEntries, &id);
        if (code == LDAP_FILTER_ERROR) return fail(Errc::invalid, fmt::format("LDAP: not a filter: {}", *filter));
        if (code != LDAP_SUCCESS) return std::unexpected(failure("search", code));
        auto found = await(search_.get(), id, question.deadline);
        if (!found) {
            if (SteadyClock::now() >= question.deadline) return fail(Errc::timed_out, "LDAP: no answer to a search");
            return fail(Errc::io, "LDAP: the connection broke in a search");
        }
        if (ldap_parse_result(search_.get(), found.get(), &code, nullptr, nullptr, nullptr, nullptr, 0) != LDAP_SUCCESS)
            return fail(Errc::io, "LDAP: not a search's result");
        const int entries = ldap_count_entries(search_.get(), found.get());
        if (code == LDAP_SIZELIMIT_EXCEEDED || entries > 1)
            return fail(Errc::invalid, fmt::format("LDAP: several entries fit {}", *filter));
        if (code != LDAP_SUCCESS) return std::unexpected(failure("search in " + settings_.base, code));
        if (entries == 0) return Entry();
        return read(ldap_first_entry(search_.get(), found.get()));
    }

    Result<Entry> read(LDAPMessage* message) {
        Entry entry{.exists = true};
        char* dn = ldap_get_dn(search_.get(), message);
        if (dn == nullptr) return fail(Errc::io, "LDAP: an entry without a name");
        entry.dn = dn;
        ldap_memfree(dn);
        if (by_bind()) return entry;
        berval** values = ldap_get_values_len(search_.get(), message, settings_.password_attribute.c_str());
        if (values != nullptr && values[0] != nullptr) {
            entry.credential.assign(values[0]->bv_val, values[0]->bv_len);
            // RFC 4519 s2.41: a value is the password in clear; RFC 2307 s5.3 puts a scheme before anything else.
            if (!entry.credential.starts_with('{')) entry.credential.insert(0, "{PLAIN}");
        }
        if (values != nullptr) ldap_value_free_len(values);
        return entry;
    }

    Result<bool> try_password(const std::string& dn, const std::string& password, SteadyTime deadline) {
        // RFC 4513 s5.1.2, s6.3.1: a bind with a name and no password succeeds and proves nothing.
        if (dn.empty() || password.empty()) return false;
        if (!verify_) {
            auto handle = connect(deadline);
            if (!handle) return pass_on(handle);
            verify_ = std::move(*handle);
        }
        const int code = bind(verify_.get(), dn, password, deadline);
        if (code == LDAP_SUCCESS) return true;
        if (refuses(code)) return false;
        verify_.reset();
        return std::unexpected(failure("bind as an account", code));
    }

    const Settings settings_;
    const std::string bind_password_;
    Handle search_, verify_;  ///< one for searches, bound as bind_dn, and one for the binds of accounts
};

}  // namespace

std::unique_ptr<Connection> make_ldap(const Settings& settings, const std::string& bind_password) {
    return std::make_unique<Ldap>(settings, bind_password);
}

}  // namespace poplar::directory::outside
