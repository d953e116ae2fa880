#include "session/sasl.h"

#include "auth/sasl.h"

namespace poplar::session {

Task<Result<Verdict>> exchange(auth::Exchange& mechanism, std::optional<std::string> initial_response,
                               Dialogue& dialogue) {
    using Why = Refusal::Why;
    if (initial_response) {
        auto decoded = auth::base64_decode(*initial_response == "=" ? std::string_view() : *initial_response);
        if (!decoded) co_return Verdict(std::unexpect, Refusal{Why::not_base64});
        initial_response = std::move(*decoded);
    }
    auto step = co_await mechanism.start(std::move(initial_response));
    for (;;) {
        if (!step) co_return Verdict(std::unexpect, refusal_of(std::move(step.error())));
        if (auto* verified = std::get_if<auth::Verified>(&*step)) co_return std::move(*verified);
        auto answer = co_await dialogue.ask(auth::base64_encode(std::get<auth::Challenge>(*step).text));
        if (!answer && answer.error().code() == Errc::too_large)
            co_return Verdict(std::unexpect, Refusal{Why::too_long});
        if (!answer) co_return pass_on(answer);
        if (*answer == "*") co_return Verdict(std::unexpect, Refusal{Why::cancelled});
        auto decoded = auth::base64_decode(*answer);
        if (!decoded) co_return Verdict(std::unexpect, Refusal{Why::not_base64});
        step = co_await mechanism.respond(std::move(*decoded));
    }
}

}  // namespace poplar::session
