#include "auth/new_policy.h"

#include <vector>

namespace poplar::auth {

namespace {

Task<std::size_t> end_unfit(OpenSessions& sessions, SecondFactors& factors, directory::Directory& directory,
                            std::vector<OpenSessions::Present> present) {
    std::size_t ended = 0;
    for (const auto& one : present) {
        auto account = co_await directory.account(one.account);
        bool stays = false;
        if (account) {
            auto lets_in = co_await factors.lets_in(*account, one.shown);
            stays = lets_in && *lets_in;
        }
        if (!stays) ended += sessions.end_those(one);
    }
    co_return ended;
}

}  // namespace

Task<std::size_t> end_unfit_sessions(OpenSessions& sessions, SecondFactors& factors, directory::Directory& directory,
                                     directory::AccountId account) {
    sessions.begin_logins_anew(account);
    return end_unfit(sessions, factors, directory, sessions.present(account));
}

Task<std::size_t> end_unfit_sessions(OpenSessions& sessions, SecondFactors& factors, directory::Directory& directory,
                                     std::string domain) {
    sessions.begin_logins_anew(domain);
    return end_unfit(sessions, factors, directory, sessions.present(domain));
}

}  // namespace poplar::auth
