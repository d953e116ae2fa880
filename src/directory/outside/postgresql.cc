#include "directory/outside/postgresql.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>

#include "base/ascii.h"
#include "directory/outside/words.h"

namespace poplar::directory::outside {

namespace {

struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
    void operator()(PGresult* result) const { PQclear(result); }
};

/// The library's text, which may have several lines.
std::string one_line(std::string_view text) {
    std::string out(ascii::trim(text));
    std::ranges::replace(out, '\n', ' ');
    return std::string(ascii::trim(out));
}

/// False if the socket is not ready by the deadline.
bool await(int socket, short events, SteadyTime deadline) {
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now()).count();
        if (left <= 0) return false;
        pollfd wanted{.fd = socket, .events = events, .revents = 0};
        const int ready = ::poll(&wanted, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) return false;
    }
}

/// Whether a query failed by the values in it, and not by what it would be for any address (PostgreSQL appendix A: more
/// rows than one, data that don't fit, what a function raises, a limit).
bool is_of_values(const PGresult* result) {
    const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const std::string_view group = state == nullptr ? "" : std::string_view(state).substr(0, 2);
    return group == "21" || group == "22" || group == "P0" || group == "54";
}

class Postgresql final : public Connection {
public:
    explicit Postgresql(const Settings& settings) : settings_(settings), query_(query_of(settings.password_query)) {}

    Result<Answer> ask(const Question& question) override {
        if (!query_) return fail(Errc::io, query_.error().detail());
        if (is_padded(question.address.local)) return Answer{};
        const bool reused = connection_ != nullptr;
        auto answer = try_ask(question);
        // A server that was started anew has closed the connection that was kept.
        if (!answer && reused && !connection_ && answer.error().code() == Errc::io) answer = try_ask(question);
        return answer;
    }

private:
    Result<Answer> try_ask(const Question& question) {
        if (!connection_)
            if (auto connected = connect(question.deadline); !connected) return pass_on(connected);
        auto answer = query(question);
        if (!answer && answer.error().code() != Errc::invalid) connection_.reset();
        return answer;
    }

    std::unexpected<Error> late() const { return fail(Errc::timed_out, "PostgreSQL: no answer in time"); }
    static std::unexpected<Error> failure(PGconn* connection) {
        return fail(Errc::io, "PostgreSQL: " + one_line(PQerrorMessage(connection)));
    }

    Result<> connect(SteadyTime deadline) {
        std::unique_ptr<PGconn, Finish> made(PQconnectStart(settings_.connect.c_str()));
        if (!made) return fail(Errc::io, "PostgreSQL: no memory");
        if (PQstatus(made.get()) == CONNECTION_BAD) return failure(made.get());
        for (auto state = PGRES_POLLING_WRITING; state != PGRES_POLLING_OK;) {
            const short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
            if (!await(PQsocket(made.get()), events, deadline)) return late();
            state = PQconnectPoll(made.get());
            if (state == PGRES_POLLING_FAILED) return failure(made.get());
        }
        connection_ = std::move(made);
        return {};
    }

    Result<Answer> query(const Question& question) {
        auto* connection = connection_.get();
        std::vector<std::string> values;
        for (const auto word : query_->parameters) values.push_back(value_of(word, question.address));
        std::vector<const char*> texts;
        for (const auto& value : values) texts.push_back(value.c_str());
        if (PQsendQueryParams(connection, query_->text.c_str(), static_cast<int>(texts.size()), nullptr, texts.data(),
                              nullptr, nullptr, 0) != 1)
            return failure(connection);
        while (PQisBusy(connection) != 0) {
            if (!await(PQsocket(connection), POLLIN, question.deadline)) return late();
            if (PQconsumeInput(connection) != 1) return failure(connection);
        }
        const std::unique_ptr<PGresult, Finish> result(PQgetResult(connection));
        if (!result) return failure(connection);
        while (PQisBusy(connection) != 0) {
            if (!await(PQsocket(connection), POLLIN, question.deadline)) return late();
            if (PQconsumeInput(connection) != 1) return failure(connection);
        }
        if (auto* more = PQgetResult(connection); more != nullptr) {
            PQclear(more);
            return fail(Errc::io, "PostgreSQL: password_query is more than one query");
        }
        if (PQresultStatus(result.get()) != PGRES_TUPLES_OK) {
            if (PQstatus(connection) != CONNECTION_OK || !is_of_values(result.get())) return failure(connection);
            return fail(Errc::invalid, "PostgreSQL: " + one_line(PQresultErrorMessage(result.get())));
        }
        if (PQntuples(result.get()) == 0) return Answer{};
        if (PQnfields(result.get()) == 0) return fail(Errc::io, "PostgreSQL: password_query gives no column");
        if (PQntuples(result.get()) > 1)
            return fail(Errc::invalid, "PostgreSQL: password_query gives several rows for one address");
        Answer answer{.exists = true};
        if (PQgetisnull(result.get(), 0, 0) == 0) answer.credential = PQgetvalue(result.get(), 0, 0);
        return answer;
    }

    const Settings settings_;
    const Result<Query> query_;
    std::unique_ptr<PGconn, Finish> connection_;
};

}  // namespace

std::unique_ptr<Connection> make_postgresql(const Settings& settings) { return std::make_unique<Postgresql>(settings); }

}  // namespace poplar::directory::outside
