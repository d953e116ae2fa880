// libunbound works on a thread of its own and calls back when its descriptor is read, on ours.
#include "dns/resolver.h"

#include <fmt/format.h>
#include <unbound.h>

#include <algorithm>
#include <map>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "base/ascii.h"
#include "base/one_shot.h"
#include "base/steady.h"

namespace poplar::dns {

namespace {

constexpr int kInternet = 1;  // class IN
constexpr int kServfail = 2;  // rcode

struct FreeContext {
    void operator()(ub_ctx* context) const { ub_ctx_delete(context); }
};

Result<Answer> answer_of(int error, ub_result* result) {
    if (error != 0 || !result) return fail(error == UB_SYNTAX ? Errc::invalid : Errc::io, ub_strerror(error));
    if (result->bogus) return fail(Errc::io, fmt::format("does not validate: {}", result->why_bogus));
    Answer answer;
    answer.exists = !result->nxdomain;
    if (result->rcode == kServfail || (result->rcode != 0 && !result->nxdomain))
        return fail(Errc::io, fmt::format("the DNS server answers with code {}", result->rcode));
    answer.secure = result->secure != 0;
    if (result->canonname) {
        answer.canonical = result->canonname;
        for (char& c : answer.canonical) c = ascii::lower(c);
        if (answer.canonical.ends_with('.')) answer.canonical.pop_back();
    }
    for (int i = 0; result->havedata && result->data[i]; ++i)
        answer.records.emplace_back(result->data[i], static_cast<std::size_t>(result->len[i]));
    return answer;
}

}  // namespace

struct Resolver::Core : std::enable_shared_from_this<Core> {
    Core(const Executor& e, std::unique_ptr<ub_ctx, FreeContext> c, std::chrono::milliseconds t)
        : executor(e), context(std::move(c)), timeout(t), descriptor(e, ub_fd(context.get())) {}
    ~Core() { descriptor.release(); }  // it is libunbound's

    /// A question that waits. Gone from `waiting` once it is answered or given up.
    struct Waiting {
        OneShot<Answer>::Sender sender;
        int id = 0;
    };
    /// Called within ub_process() alone.
    static void answered(void* number, int error, ub_result* result) {
        auto answer = answer_of(error, result);
        ub_resolve_free(result);
        t_processing->give(reinterpret_cast<std::uintptr_t>(number), std::move(answer));
    }
    static inline thread_local Core* t_processing = nullptr;

    void give(std::uintptr_t number, Result<Answer> answer) {
        auto found = waiting.find(number);
        if (found == waiting.end()) return;
        auto sender = std::move(found->second.sender);
        waiting.erase(found);
        sender.send(std::move(answer));
    }

    void listen() {
        descriptor.async_wait(descriptor.wait_read, [self = shared_from_this()](boost::system::error_code error) {
            if (error || self->stopped) return;
            t_processing = self.get();
            ub_process(self->context.get());
            self->listen();
        });
    }

    void stop() {
        if (std::exchange(stopped, true)) return;
        boost::system::error_code ignored;
        descriptor.cancel(ignored);
        for (auto all = std::exchange(waiting, {}); auto& [number, one] : all) {
            ub_cancel(context.get(), one.id);
            one.sender.send(fail(Errc::cancelled, "the server is stopping"));
        }
    }

    Executor executor;
    std::unique_ptr<ub_ctx, FreeContext> context;
    const std::chrono::milliseconds timeout;
    asio::posix::basic_stream_descriptor<Executor> descriptor;
    std::map<std::uintptr_t, Waiting> waiting;
    std::uintptr_t next = 0;
    bool stopped = false;
};

Result<std::string> parse_server(const std::string& text) {
    auto rest = text;
    std::string host, port;
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        if (end == text.npos) return fail(Errc::invalid, fmt::format("\"{}\": a \"]\" is missing", text));
        host = text.substr(1, end - 1);
        rest = text.substr(end + 1);
        if (!rest.empty() && !rest.starts_with(':'))
            return fail(Errc::invalid, fmt::format("\"{}\" is no server", text));
        port = rest.empty() ? "" : rest.substr(1);
    } else if (std::ranges::count(text, ':') == 1) {
        host = text.substr(0, text.find(':'));
        port = text.substr(text.find(':') + 1);
    } else {
        host = text;
    }
    boost::system::error_code error;
    asio::ip::make_address(host, error);
    unsigned long number = 53;
    const bool digits = port.size() <= 5 && port.find_first_not_of("0123456789") == port.npos;
    if (!port.empty() && digits) number = std::stoul(port);
    if (error || !digits || number == 0 || number > 65535)
        return fail(Errc::invalid, fmt::format("\"{}\" is not of the form \"192.0.2.53:53\"", text));
    return fmt::format("{}@{}", host, number);
}

Result<std::unique_ptr<Resolver>> Resolver::make(Executor executor, const Options& options) {
    std::unique_ptr<ub_ctx, FreeContext> context(ub_ctx_create());
    if (!context) return fail(Errc::io, "libunbound has no memory or no random numbers");
    auto* unbound = context.get();
    int error = ub_ctx_async(unbound, 1);
    auto set = [&](const char* key, const std::string& value) {
        if (error == 0) error = ub_ctx_set_option(unbound, key, value.c_str());
    };
    set("do-not-query-localhost:", "no");  // a resolver on this machine is what sending.md advises
    set("msg-cache-size:", std::to_string(options.cache_octets));
    set("rrset-cache-size:", std::to_string(options.cache_octets));
    set("infra-host-ttl:", "60");  // seconds that a server which did not answer is left alone
    set("cache-max-negative-ttl:", "300");
    // Names of private addresses are asked for as all others, and are signed by nobody.
    set("unblock-lan-zones:", "yes");
    set("insecure-lan-zones:", "yes");
    // Where the file can't be read, libunbound asks the root servers and those below them itself.
    if (error == 0 && options.servers.empty()) (void)ub_ctx_resolvconf(unbound, nullptr);
    for (const auto& server : options.servers) {
        auto parsed = parse_server(server);
        if (!parsed) return pass_on(parsed);
        if (error == 0) error = ub_ctx_set_fwd(unbound, parsed->c_str());
    }
    if (error == 0 && !options.trust_anchors.empty() && ub_ctx_add_ta_file(unbound, options.trust_anchors.c_str()) != 0)
        return fail(Errc::invalid, fmt::format("{}: no trust anchors", options.trust_anchors));
    // These would be answered with "no such name" by libunbound itself, whatever the configured servers know of them.
    for (const char* zone : {"test.", "invalid.", "home.arpa."})
        if (error == 0) error = ub_ctx_zone_remove(unbound, zone);
    if (error != 0) return fail(Errc::io, fmt::format("libunbound: {}", ub_strerror(error)));
    auto core = std::make_shared<Core>(executor, std::move(context), options.timeout);
    core->listen();
    return std::unique_ptr<Resolver>(new Resolver(std::move(core)));
}

Resolver::~Resolver() { stop(); }

void Resolver::stop() { core_->stop(); }

Task<Result<Answer>> Resolver::ask(std::string name, Type type) {
    auto core = core_;
    if (core->stopped) co_return fail(Errc::cancelled, "the server is stopping");
    // For libunbound it would end there, and be somebody else's name.
    if (name.contains('\0')) co_return fail(Errc::invalid, "a NUL in a name");
    const auto number = core->next++;
    OneShot<Answer> result;
    auto [place, added] = core->waiting.emplace(number, Core::Waiting{result.sender()});
    const int error = ub_resolve_async(core->context.get(), name.c_str(), static_cast<int>(type), kInternet,
                                       reinterpret_cast<void*>(number), &Core::answered, &place->second.id);
    if (error != 0) {
        core->waiting.erase(number);
        co_return fail(error == UB_SYNTAX ? Errc::invalid : Errc::io, ub_strerror(error));
    }
    SteadyTimer timer(core->executor, SteadyClock::now() + core->timeout);
    timer.async_wait([core, number](boost::system::error_code cancelled) {
        auto found = core->waiting.find(number);
        if (cancelled || found == core->waiting.end()) return;
        ub_cancel(core->context.get(), found->second.id);
        core->give(number, fail(Errc::timed_out, "no answer from the DNS in time"));
    });
    auto answer = co_await result.receive();
    timer.cancel();
    co_return answer;
}

}  // namespace poplar::dns
