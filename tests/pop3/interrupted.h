#pragma once
#include <functional>
#include <memory>

#include "net/connection.h"

namespace poplar::test {

/// A connection that calls a function before its session reads the line with the given number (from 1).
class Interrupted final : public net::Connection {
public:
    Interrupted(std::unique_ptr<net::Connection> inner, int line, std::function<Task<>()> happen)
        : inner_(std::move(inner)), line_(line), happen_(std::move(happen)) {}

    Task<Result<std::string_view>> read_line(std::size_t limit, Seconds idle, net::LineEnd end) override {
        if (--line_ == 0) co_await happen_();
        co_return co_await inner_->read_line(limit, idle, end);
    }
    Task<Result<std::string_view>> read_some(Seconds idle, std::span<char> into) override {
        return inner_->read_some(idle, into);
    }
    void consume(std::size_t octets) override { inner_->consume(octets); }
    Task<Result<>> write(std::string_view bytes) override { return inner_->write(bytes); }
    Task<Result<>> flush() override { return inner_->flush(); }
    Task<Result<>> start_tls(const net::TlsContext& context, Seconds limit) override {
        return inner_->start_tls(context, limit);
    }
    const net::TlsInfo* tls() const override { return inner_->tls(); }
    const net::Peer& peer() const override { return inner_->peer(); }
    void set_peer(net::Peer peer) override { inner_->set_peer(std::move(peer)); }
    std::string local_address() const override { return inner_->local_address(); }
    Task<> close(net::Parting parting) override { return inner_->close(parting); }
    void stop_reading() override { inner_->stop_reading(); }
    void abort() override { inner_->abort(); }

private:
    std::unique_ptr<net::Connection> inner_;
    int line_;
    std::function<Task<>()> happen_;
};

}  // namespace poplar::test
