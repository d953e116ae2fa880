#pragma once
// A mail server that a test plays: it says what a script says, on a port of its own.
#include <sys/socket.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/asio.h"

namespace poplar::test {

/// Answers each line with what `answer` gives for it: text without its last line end; "" says nothing; kHangUp ends the
/// connection. The greeting is the answer to "". After a 354 the lines up to "." are one, with CRLFs in it, that ends
/// in
/// ".".
class PlayedServer {
public:
    using Answer = std::function<std::string(const std::string& line)>;
    static constexpr const char* kHangUp = "HANG UP";

    explicit PlayedServer(Answer answer) : answer_(std::move(answer)) {
        thread_ = std::thread([this] { accept(); });
    }
    ~PlayedServer() {
        over_ = true;
        ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
        thread_.join();
        {
            std::lock_guard guard(mutex_);
            for (int socket : open_) ::shutdown(socket, SHUT_RDWR);
        }
        for (auto& session : sessions_) session.join();
    }

    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
    std::vector<std::string> lines() const {
        std::lock_guard guard(mutex_);
        return lines_;
    }
    int connections() const { return connections_; }

private:
    using Tcp = asio::ip::tcp;

    void accept() {
        while (!over_) {
            boost::system::error_code error;
            Tcp::socket socket(context_);
            acceptor_.accept(socket, error);
            if (error || over_) return;
            ++connections_;
            std::lock_guard guard(mutex_);
            open_.push_back(socket.native_handle());
            sessions_.emplace_back([this, s = std::make_shared<Tcp::socket>(std::move(socket))] { serve(*s); });
        }
    }

    void serve(Tcp::socket& socket) {
        std::string input, said = answer_("");
        std::string message;
        bool in_data = false;
        for (;;) {
            if (said == kHangUp) break;
            boost::system::error_code error;
            if (!said.empty()) asio::write(socket, asio::buffer(said + "\r\n"), error);
            in_data = said.starts_with("354");
            said.clear();
            for (;;) {
                asio::read_until(socket, asio::dynamic_buffer(input), "\r\n", error);
                if (error) break;
                const auto end = input.find("\r\n");
                auto line = input.substr(0, end);
                input.erase(0, end + 2);
                if (in_data && line != ".") {
                    message += line + "\r\n";
                    continue;
                }
                if (in_data) line = std::exchange(message, {}) + ".";
                {
                    std::lock_guard guard(mutex_);
                    lines_.push_back(line);
                }
                said = answer_(line);
                break;
            }
            if (error) break;
        }
        std::lock_guard guard(mutex_);
        std::erase(open_, socket.native_handle());
        boost::system::error_code ignored;
        socket.close(ignored);
    }

    asio::io_context context_;
    Tcp::acceptor acceptor_{context_, Tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0)};
    const Answer answer_;
    std::atomic<bool> over_ = false;
    std::atomic<int> connections_ = 0;
    mutable std::mutex mutex_;
    std::vector<std::string> lines_;
    std::vector<int> open_;
    std::vector<std::thread> sessions_;
    std::thread thread_;
};

/// A server that takes everything. `replace`: what it says in place of the usual, by the beginning of a line ("RCPT",
/// "." for the end of a message, "" for the greeting).
inline PlayedServer::Answer taking(std::vector<std::pair<std::string, std::string>> replace = {},
                                   std::string extensions = "PIPELINING") {
    return [replace = std::move(replace), extensions = std::move(extensions)](const std::string& line) -> std::string {
        const bool is_message = line.ends_with('.') && (line == "." || line.ends_with("\r\n."));
        const auto stage = is_message ? std::string(".") : line.substr(0, 4);
        for (const auto& [which, answer] : replace)
            if (which == stage) return answer;
        if (line.empty()) return "220 played";
        if (is_message) return "250 2.0.0 taken";
        if (stage == "EHLO") return "250-played\r\n250 " + extensions;
        if (stage == "DATA") return "354 go on";
        if (stage == "QUIT") return "221 bye";
        return "250 ok";
    };
}

}  // namespace poplar::test
