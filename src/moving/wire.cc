#include "moving/wire.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <charconv>
#include <optional>

namespace poplar::moving {

namespace {

constexpr std::chrono::seconds kConnect{30};
constexpr std::chrono::minutes kReply{5};  // RFC 3501 s5.4 lets a server be silent for longer; a listing takes time

std::optional<std::uint16_t> port_of(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (failed != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
    return port;
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text, std::optional<Encryption> wanted, Certificate certificate,
                                const StandardPorts& ports) {
    Endpoint endpoint;
    endpoint.certificate = certificate;
    auto host = text;
    std::optional<std::string_view> port;
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        host = text.substr(1, end == std::string_view::npos ? 0 : end - 1);
        if (end != std::string_view::npos && end + 1 < text.size()) port = text.substr(end + 1);
        if (port && !port->starts_with(':')) host = {};
        if (port) port->remove_prefix(1);
    } else if (const auto colon = text.find(':'); colon != std::string_view::npos && colon == text.rfind(':')) {
        host = text.substr(0, colon);
        port = text.substr(colon + 1);
    }
    const auto number = port ? port_of(*port) : std::optional<std::uint16_t>(0);
    if (host.empty() || !number) return fail(Errc::invalid, fmt::format("{}: a host, or HOST:PORT", text));
    endpoint.host = host;
    const bool by_command = *number != 0 && *number != ports.tls;
    endpoint.encryption = wanted.value_or(by_command ? Encryption::start_tls : Encryption::tls);
    endpoint.port = *number != 0 ? *number : endpoint.encryption == Encryption::none ? ports.plain : ports.tls;
    return endpoint;
}

std::string Credentials::sasl_plain() const {
    const std::string_view nul("\0", 1);
    std::string message;
    if (!master.empty()) message = user;
    message.append(nul).append(master.empty() ? user : master).append(nul).append(password);
    std::string out(4 * ((message.size() + 2) / 3) + 1, '\0');
    const auto octets =
        EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                        reinterpret_cast<const unsigned char*>(message.data()), static_cast<int>(message.size()));
    out.resize(static_cast<std::size_t>(octets));
    return out;
}

Wire::Wire() = default;
Wire::~Wire() = default;

template <class T>
Result<T> Wire::wait(Task<Result<T>> task) {
    std::optional<Result<T>> result;
    auto keep = [&result](std::exception_ptr failure, Result<T> value) {
        if (failure) std::rethrow_exception(failure);
        result = std::move(value);
    };
    context_.restart();
    asio::co_spawn(context_, std::move(task), std::move(keep));
    context_.run();
    return std::move(*result);
}

Result<> Wire::open(const Endpoint& endpoint) {
    endpoint_ = endpoint;
    connection_.reset();
    boost::system::error_code failed;
    asio::ip::tcp::resolver resolver(context_);
    const auto found = resolver.resolve(endpoint.host, std::to_string(endpoint.port), failed);
    if (failed) return fail(Errc::io, fmt::format("{} is not found: {}", endpoint.host, failed.message()));
    Result<> connected = fail(Errc::io, "no address");
    for (const auto& one : found) {
        connection_ = std::make_unique<net::Outgoing>(context_.get_executor());
        connected = wait(connection_->connect(one.endpoint().address().to_string(), endpoint.port, "", kConnect));
        if (connected) break;
    }
    if (!connected) {
        connection_.reset();
        return fail(connected.error().code(), fmt::format("{}:{} can't be reached: {}", endpoint.host, endpoint.port,
                                                          connected.error().detail()));
    }
    return endpoint.encryption == Encryption::tls ? start_tls() : Result<>();
}

Result<> Wire::start_tls() {
    if (!tls_) {
        auto loaded = net::ClientTls::load("");
        if (!loaded) return pass_on(loaded);
        tls_ = std::move(*loaded);
    }
    auto done = wait(connection_->start_tls(tls_, {endpoint_.host}, kConnect));
    if (!done) {
        cut();
        return fail(done.error().code(),
                    fmt::format("TLS with {}:{} failed: {}", endpoint_.host, endpoint_.port, done.error().detail()));
    }
    if (!done->verified && endpoint_.certificate == Certificate::checked) {
        cut();
        return fail(Errc::denied, fmt::format("the certificate of {}:{} is not to be trusted: {}; --insecure goes on "
                                              "all the same",
                                              endpoint_.host, endpoint_.port, done->why_not));
    }
    return {};
}

Result<std::string> Wire::read_line(std::size_t limit) {
    if (!connection_) return fail(Errc::closed, "not connected");
    return wait(connection_->read_line(limit, kReply));
}

Result<std::string> Wire::read_some(std::size_t limit) {
    if (!connection_) return fail(Errc::closed, "not connected");
    return wait(connection_->read_some(limit, kReply));
}

Result<> Wire::write(std::string_view bytes) {
    if (!connection_) return fail(Errc::closed, "not connected");
    return wait(connection_->write(bytes, kReply));
}

}  // namespace poplar::moving
