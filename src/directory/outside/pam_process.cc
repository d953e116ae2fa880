// One child a question: a module that hangs is killed at the deadline, one that crashes ends itself alone.
#include "directory/outside/pam_process.h"

#include <poll.h>
#include <security/pam_appl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "base/steady.h"

namespace poplar::directory::outside {

namespace {

using Verdict = PamAnswer::Verdict;

/// Answers a module's prompts: what is typed unseen is the password, anything else the user's name.
int converse(int count, const pam_message** messages, pam_response** responses, void* given) {
    if (count <= 0 || count > PAM_MAX_NUM_MSG) return PAM_CONV_ERR;
    const auto& question = *static_cast<const PamQuestion*>(given);
    auto* all = static_cast<pam_response*>(std::calloc(static_cast<std::size_t>(count), sizeof(pam_response)));
    if (all == nullptr) return PAM_BUF_ERR;
    for (int i = 0; i < count; ++i) {
        const int style = messages[i]->msg_style;
        if (style == PAM_PROMPT_ECHO_OFF) all[i].resp = ::strdup(question.password.c_str());
        if (style == PAM_PROMPT_ECHO_ON) all[i].resp = ::strdup(question.user.c_str());
    }
    *responses = all;  // the module frees it
    return PAM_SUCCESS;
}

/// In place of PAM's own pause behind a failure: the server has its own, which is the same for unknown users.
void no_delay(int, unsigned, void*) {}

/// The codes that are left: the modules can't answer anybody now, or they can't answer this question.
Verdict no_answer(int code) {
    switch (code) {
        case PAM_OPEN_ERR:
        case PAM_SYMBOL_ERR:
        case PAM_SERVICE_ERR:
        case PAM_SYSTEM_ERR:
        case PAM_BUF_ERR:
        case PAM_ABORT:
        case PAM_AUTHINFO_UNAVAIL:
        case PAM_MODULE_UNKNOWN: return Verdict::failed;
        default: return Verdict::unusable;
    }
}

Verdict judge_password(pam_handle_t* handle, int& code) {
    code = pam_authenticate(handle, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
    switch (code) {
        case PAM_SUCCESS: break;
        case PAM_USER_UNKNOWN: return Verdict::gone;
        case PAM_AUTH_ERR:
        case PAM_PERM_DENIED:
        case PAM_MAXTRIES:
        case PAM_ACCT_EXPIRED:
        case PAM_CRED_INSUFFICIENT:
        case PAM_CRED_EXPIRED:
        case PAM_CRED_ERR:
        case PAM_AUTHTOK_EXPIRED: return Verdict::wrong;
        default: return no_answer(code);
    }
    code = pam_acct_mgmt(handle, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
    switch (code) {
        case PAM_SUCCESS: return Verdict::right;
        case PAM_USER_UNKNOWN: return Verdict::gone;
        case PAM_NEW_AUTHTOK_REQD:
        case PAM_ACCT_EXPIRED:
        case PAM_AUTH_ERR:
        case PAM_PERM_DENIED: return Verdict::wrong;
        default: return no_answer(code);
    }
}

// A stack that ends in pam_deny says "denied" of unknown users, so whoever is denied is not there.
Verdict judge_presence(pam_handle_t* handle, int& code) {
    code = pam_acct_mgmt(handle, PAM_SILENT);
    switch (code) {
        case PAM_SUCCESS:
        case PAM_NEW_AUTHTOK_REQD:
        case PAM_ACCT_EXPIRED: return Verdict::there;
        case PAM_USER_UNKNOWN:
        case PAM_AUTH_ERR:
        case PAM_PERM_DENIED: return Verdict::gone;
        default: return no_answer(code);
    }
}

struct Child {
    pid_t pid;
    int lane;
    std::uint32_t number;
    SteadyTime deadline;
    bool killed = false;
};

void say(int lane, const PamAnswer& answer) {
    const auto packet = encode(answer);
    (void)::send(lane, packet.data(), packet.size(), MSG_NOSIGNAL);
}

/// Leaves open what is in `kept`, and the standard streams.
void close_others(std::vector<int> kept) {
    std::ranges::sort(kept);
    unsigned from = STDERR_FILENO + 1;
    for (int one : kept) {
        const auto at = static_cast<unsigned>(one);
        if (at > from) ::close_range(from, at - 1, 0);
        from = std::max(from, at + 1);
    }
    ::close_range(from, ~0U, 0);
}

[[noreturn]] void be_child(int lane, const PamQuestion& question) {
    close_others({lane});
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    say(lane, ask_pam(question));
    ::_exit(0);
}

class Process {
public:
    explicit Process(std::vector<int> lanes) : lanes_(std::move(lanes)) {}

    void run() {
        sigset_t watched;
        sigemptyset(&watched);
        sigaddset(&watched, SIGCHLD);
        sigprocmask(SIG_BLOCK, &watched, nullptr);
        const int signals = ::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
        while (!lanes_.empty()) {
            std::vector<pollfd> all{{.fd = signals, .events = POLLIN, .revents = 0}};
            for (int lane : lanes_) all.push_back({.fd = lane, .events = POLLIN, .revents = 0});
            if (::poll(all.data(), all.size(), until_next_deadline()) < 0) continue;
            signalfd_siginfo ignored{};
            while (::read(signals, &ignored, sizeof ignored) > 0) {
            }
            reap();
            kill_late();
            for (std::size_t i = 1; i < all.size(); ++i)
                if (all[i].revents != 0) hear(all[i].fd);
        }
        for (const auto& child : children_) ::kill(child.pid, SIGKILL);
    }

private:
    int until_next_deadline() const {
        if (children_.empty()) return -1;
        const auto next = std::ranges::min(
            children_, {}, [](const Child& one) { return one.killed ? SteadyTime::max() : one.deadline; });
        if (next.killed) return -1;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(next.deadline - SteadyClock::now()).count();
        return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
    }

    void hear(int lane) {
        std::string packet(kPamPacket, '\0');
        const auto got = ::recv(lane, packet.data(), packet.size(), MSG_DONTWAIT);
        if (got < 0) return;
        if (got == 0) {  // the server has ended
            ::close(lane);
            std::erase(lanes_, lane);
            return;
        }
        packet.resize(static_cast<std::size_t>(got));
        auto question = decode_pam_question(packet);
        if (!question) return;
        const pid_t pid = ::fork();
        if (pid == 0) be_child(lane, *question);
        if (pid < 0) return say(lane, {question->number, Verdict::failed, "PAM: no process can be made"});
        children_.push_back(
            {pid, lane, question->number, SteadyClock::now() + std::chrono::milliseconds(question->millis)});
    }

    void reap() {
        for (;;) {
            int status = 0;
            const pid_t pid = ::waitpid(-1, &status, WNOHANG);
            if (pid <= 0) return;
            auto child = std::ranges::find(children_, pid, &Child::pid);
            if (child == children_.end()) continue;  // a module's own
            const bool answered = WIFEXITED(status) && WEXITSTATUS(status) == 0;
            const bool listens = std::ranges::find(lanes_, child->lane) != lanes_.end();
            if (!answered && listens)
                say(child->lane,
                    child->killed ? PamAnswer{child->number, Verdict::failed, "PAM: a module does not answer in time"}
                                  : PamAnswer{child->number, Verdict::unusable, "PAM: a module crashed"});
            children_.erase(child);
        }
    }

    void kill_late() {
        for (auto& child : children_) {
            if (child.killed || SteadyClock::now() < child.deadline) continue;
            child.killed = true;
            ::kill(child.pid, SIGKILL);
        }
    }

    std::vector<int> lanes_;
    std::vector<Child> children_;
};

}  // namespace

PamAnswer ask_pam(const PamQuestion& question) {
    auto given = question;
    const pam_conv conversation{.conv = converse, .appdata_ptr = &given};
    pam_handle_t* handle = nullptr;
    PamAnswer answer{.number = question.number};
    int code = pam_start(question.service.c_str(), question.user.c_str(), &conversation, &handle);
    if (code == PAM_SUCCESS) {
        pam_set_item(handle, PAM_FAIL_DELAY, reinterpret_cast<const void*>(no_delay));
        if (!question.peer.empty()) pam_set_item(handle, PAM_RHOST, question.peer.c_str());
        answer.verdict = question.password.empty() ? judge_presence(handle, code) : judge_password(handle, code);
    }
    if (answer.verdict == Verdict::failed || answer.verdict == Verdict::unusable)
        answer.why = std::string("PAM: ") + pam_strerror(handle, code);
    if (handle != nullptr) pam_end(handle, code);
    if (answer.verdict != Verdict::wrong) return answer;
    // Most stacks call it wrong, too, if the user has gone, and an account must not stay because somebody guesses at
    // it. By a handle of its own: what is known of a failed login must not have a say in it.
    auto presence = question;
    presence.password.clear();
    if (ask_pam(presence).verdict == Verdict::gone) answer.verdict = Verdict::gone;
    return answer;
}

void run_pam_process(std::vector<int> lanes) {
    // It ends when the server's ends of the lanes close, so that logins work until the last session is over.
    for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE}) std::signal(signal, SIG_IGN);
    std::signal(SIGCHLD, SIG_DFL);
    prctl(PR_SET_NAME, "poplar-pam");
    prctl(PR_SET_DUMPABLE, 0);  // passwords pass through here
    close_others(lanes);
    Process(std::move(lanes)).run();
    ::_exit(0);
}

}  // namespace poplar::directory::outside
