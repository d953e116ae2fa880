#include "directory/outside/sqlite.h"

#include <sqlite3.h>

#include "directory/outside/words.h"

namespace poplar::directory::outside {

namespace {

constexpr int kStepsBetweenLooks = 1000;  // of SQLite's virtual machine

struct Close {
    void operator()(sqlite3* database) const { sqlite3_close(database); }
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

/// Called between steps; ends a query whose time is over.
int is_late(void* deadline) { return SteadyClock::now() >= *static_cast<const SteadyTime*>(deadline) ? 1 : 0; }

class Sqlite final : public Connection {
public:
    explicit Sqlite(const Settings& settings) : settings_(settings), query_(query_of(settings.password_query)) {}

    Result<Answer> ask(const Question& question) override {
        if (!query_) return fail(Errc::io, query_.error().detail());
        if (is_padded(question.address.local)) return Answer{};
        sqlite3* made = nullptr;
        int code =
            sqlite3_open_v2(settings_.connect.c_str(), &made, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
        const std::unique_ptr<sqlite3, Close> database(made);
        if (code != SQLITE_OK) return failure(made, code);
        auto deadline = question.deadline;
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - SteadyClock::now());
        sqlite3_busy_timeout(made, static_cast<int>(std::max<std::int64_t>(left.count(), 1)));
        sqlite3_progress_handler(made, kStepsBetweenLooks, is_late, &deadline);

        sqlite3_stmt* prepared = nullptr;
        code = sqlite3_prepare_v2(made, query_->text.data(), static_cast<int>(query_->text.size()), &prepared, nullptr);
        const std::unique_ptr<sqlite3_stmt, Close> statement(prepared);
        if (code != SQLITE_OK) return failure(made, code);
        if (prepared == nullptr || sqlite3_column_count(prepared) == 0)
            return fail(Errc::io, "SQLite: password_query gives no column");
        for (int at = 0; const auto word : query_->parameters) {
            const auto value = value_of(word, question.address);
            sqlite3_bind_text(prepared, ++at, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT);
        }
        code = sqlite3_step(prepared);
        if (code == SQLITE_DONE) return Answer{};
        if (code != SQLITE_ROW) return failed_step(made, code);
        Answer answer{.exists = true};
        if (const auto* text = sqlite3_column_text(prepared, 0); text != nullptr)
            answer.credential.assign(reinterpret_cast<const char*>(text),
                                     static_cast<std::size_t>(sqlite3_column_bytes(prepared, 0)));
        code = sqlite3_step(prepared);
        if (code == SQLITE_ROW) return fail(Errc::invalid, "SQLite: password_query gives several rows for one address");
        if (code != SQLITE_DONE) return failed_step(made, code);
        return answer;
    }

private:
    /// The query was good when it was prepared, so these errors are of the values in it.
    Result<Answer> failed_step(sqlite3* database, int code) const {
        if (code != SQLITE_ERROR && code != SQLITE_TOOBIG && code != SQLITE_MISMATCH) return failure(database, code);
        return fail(Errc::invalid, std::string("SQLite: ") + sqlite3_errmsg(database));
    }

    Result<Answer> failure(sqlite3* database, int code) const {
        const bool late = code == SQLITE_BUSY || code == SQLITE_INTERRUPT;
        const std::string what = database ? sqlite3_errmsg(database) : sqlite3_errstr(code);
        return fail(late ? Errc::timed_out : Errc::io, "SQLite: " + settings_.connect + ": " + what);
    }

    const Settings settings_;
    const Result<Query> query_;
};

}  // namespace

std::unique_ptr<Connection> make_sqlite(const Settings& settings) { return std::make_unique<Sqlite>(settings); }

}  // namespace poplar::directory::outside
