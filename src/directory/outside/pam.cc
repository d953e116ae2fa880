#include "directory/outside/pam.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "directory/outside/pam_process.h"
#include "directory/outside/words.h"

namespace poplar::directory::outside {

namespace {

using Verdict = PamAnswer::Verdict;

std::unexpected<Error> ended() { return fail(Errc::io, "PAM: its process has ended; start the server again"); }

class Pam final : public Connection {
public:
    Pam(std::shared_ptr<PamProcess> process, const Settings& settings)
        : settings_(settings), process_(std::move(process)), lane_(process_->take_lane()) {}
    ~Pam() override { process_->give_back(lane_); }

    Result<Answer> ask(const Question& question) override {
        auto user = text_for(settings_.user, question.address);
        if (!user) return pass_on(user);
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(question.deadline - SteadyClock::now());
        number_ = process_->next_number();
        PamQuestion asked{.number = number_,
                          .millis = static_cast<std::uint32_t>(std::clamp<std::int64_t>(left.count(), 1, 600'000)),
                          .service = settings_.service,
                          .user = std::move(*user),
                          .peer = question.peer,
                          .password = question.password.value_or("")};
        auto packet = encode(asked);
        // A module could only see it cut off, so that one is wrong; whether the account is there is asked all the same.
        if (asked.password.contains('\0') || packet.size() > kPamPacket) {
            asked.password.clear();
            packet = encode(asked);
        }
        if (packet.size() > kPamPacket) return fail(Errc::invalid, "PAM: the user's name is too long");
        if (::send(lane_, packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return ended();
        auto answer = await(question.deadline);
        if (!answer) return pass_on(answer);
        switch (answer->verdict) {
            case Verdict::gone: return Answer{};
            case Verdict::there: {
                Answer there{.exists = true};
                if (question.password) there.right = false;
                return there;
            }
            case Verdict::right: return Answer{.exists = true, .right = true};
            case Verdict::wrong: return Answer{.exists = true, .right = false};
            case Verdict::unusable: return fail(Errc::invalid, answer->why);
            case Verdict::failed: break;
        }
        return fail(Errc::io, answer->why);
    }

private:
    /// The answer to the last question; those to questions that were given up are passed over.
    Result<PamAnswer> await(SteadyTime deadline) {
        for (;;) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now()).count();
            if (left <= 0) return fail(Errc::timed_out, "PAM: no answer in time");
            pollfd wanted{.fd = lane_, .events = POLLIN, .revents = 0};
            if (::poll(&wanted, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000))) <= 0) continue;
            std::string packet(kPamPacket, '\0');
            const auto got = ::recv(lane_, packet.data(), packet.size(), MSG_DONTWAIT);
            if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
            if (got <= 0) return ended();
            packet.resize(static_cast<std::size_t>(got));
            auto answer = decode_pam_answer(packet);
            if (!answer || answer->number == number_) return answer;
        }
    }

    const Settings settings_;
    const std::shared_ptr<PamProcess> process_;
    const int lane_;
    std::uint32_t number_ = 0;  ///< of the last question
};

}  // namespace

Result<std::shared_ptr<PamProcess>> PamProcess::start(std::size_t lanes) {
    std::vector<int> ours, theirs;
    auto close_all = [](const std::vector<int>& sockets) {
        for (int one : sockets) ::close(one);
    };
    for (std::size_t i = 0; i < lanes; ++i) {
        std::array<int, 2> pair{};
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) {
            close_all(ours), close_all(theirs);
            return fail(Errc::io, "PAM: no sockets for its process");
        }
        ours.push_back(pair[0]);
        theirs.push_back(pair[1]);
    }
    const pid_t pid = ::fork();
    if (pid == 0) run_pam_process(std::move(theirs));
    close_all(theirs);
    if (pid < 0) {
        close_all(ours);
        return fail(Errc::io, "PAM: its process can't be made");
    }
    return std::shared_ptr<PamProcess>(new PamProcess(std::move(ours)));
}

PamProcess::~PamProcess() {
    for (int lane : lanes_) ::close(lane);
}

int PamProcess::take_lane() {
    std::lock_guard hold(mutex_);
    if (free_.empty()) throw std::runtime_error("PAM: all lanes to its process are taken");
    const int lane = free_.back();
    free_.pop_back();
    return lane;
}

void PamProcess::give_back(int lane) {
    std::lock_guard hold(mutex_);
    free_.push_back(lane);
}

std::unique_ptr<Connection> PamProcess::connect(std::shared_ptr<PamProcess> process, const Settings& settings) {
    return std::make_unique<Pam>(std::move(process), settings);
}

}  // namespace poplar::directory::outside
