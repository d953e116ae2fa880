#pragma once
#include <map>

#include "directory/outside/source.h"

namespace poplar::directory::outside {

/// The people that a fake source knows, and the questions it was asked. It outlives the source.
struct FakePeople {
    std::map<std::string, std::string> passwords = {};  ///< by address
    bool judges = true;                                 ///< else it hands passwords out
    std::vector<std::string> networks = {};
    std::optional<Error> failure = {};
    int asked = 0, with_password = 0;
};

class FakeSource final : public Source {
public:
    explicit FakeSource(FakePeople& people) : people_(people) {}
    Task<Result<Answer>> ask(Question question) override {
        ++people_.asked;
        if (question.password) ++people_.with_password;
        if (people_.failure) co_return std::unexpected(*people_.failure);
        const auto found = people_.passwords.find(mail::to_string(question.address));
        if (found == people_.passwords.end()) co_return Answer{};
        Answer answer{.exists = true, .networks = people_.networks};
        if (!people_.judges)
            answer.credential = "{PLAIN}" + found->second;
        else if (question.password)
            answer.right = *question.password == found->second;
        co_return answer;
    }

private:
    FakePeople& people_;
};

}  // namespace poplar::directory::outside
