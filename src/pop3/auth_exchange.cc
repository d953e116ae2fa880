#include "pop3/auth_exchange.h"

#include "auth/sasl.h"

namespace poplar::pop3 {

Task<std::optional<Result<directory::Account>>> exchange(Conversation& conversation, auth::Exchange& mechanism,
                                                         std::optional<std::string> initial_response,
                                                         SteadyTime deadline) {
    if (initial_response) {
        auto decoded = auth::base64_decode(*initial_response == "=" ? std::string_view() : *initial_response);
        if (!decoded) {
            co_await conversation.refuse("not valid base64");
            co_return std::nullopt;
        }
        initial_response = std::move(*decoded);
    }
    auto step = co_await mechanism.start(std::move(initial_response));
    for (;;) {
        if (!step) co_return Result<directory::Account>(pass_on(step));
        if (auto* account = std::get_if<directory::Account>(&*step))
            co_return Result<directory::Account>(std::move(*account));
        auto challenge = auth::base64_encode(std::get<auth::Challenge>(*step).text);
        co_await conversation.say("+ {}\r\n", challenge);
        auto line = co_await conversation.next_response(deadline);
        if (!line) co_return std::nullopt;
        if (*line == "*") {
            co_await conversation.refuse("cancelled");
            co_return std::nullopt;
        }
        auto decoded = auth::base64_decode(*line);
        if (!decoded) {
            co_await conversation.refuse("not valid base64");
            co_return std::nullopt;
        }
        step = co_await mechanism.respond(std::move(*decoded));
    }
}

}  // namespace poplar::pop3
