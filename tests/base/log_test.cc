// Lines of the log as they are written: escapes, levels, JSON; rotation, a reader that stalls, a full disk.
#include "base/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace poplar {
namespace {

using namespace std::string_literals;

class Log : public testing::Test {
protected:
    Log() {
        std::string pattern = (std::filesystem::temp_directory_path() / "poplar-log-XXXXXX").string();
        directory_ = mkdtemp(pattern.data());
        file_ = directory_ / "log";
    }
    ~Log() override {
        log::configure(log::Level::info, log::Format::text, "");
        std::filesystem::remove_all(directory_);
    }

    static std::vector<std::string> lines_of(const std::filesystem::path& file) {
        log::flush();
        std::ifstream in(file, std::ios::binary);
        std::vector<std::string> lines;
        for (std::string line; std::getline(in, line);) lines.push_back(line);
        return lines;
    }
    /// The one line a value makes, behind its time, level and event.
    std::string text_of(std::string_view value) {
        log::configure(log::Level::debug, log::Format::text, file_);
        log::info("event", {{"key", value}});
        const auto lines = lines_of(file_);
        std::filesystem::remove(file_);
        EXPECT_EQ(lines.size(), 1u);
        const std::string mark = " info event key=";
        const auto at = lines.empty() ? std::string::npos : lines[0].find(mark);
        return at == std::string::npos ? "(no such line)" : lines[0].substr(at + mark.size());
    }

    std::filesystem::path directory_, file_;
};

TEST_F(Log, WritesPlainValuesAsTheyAreAndQuotesOthers) {
    struct Case {
        std::string value, text;
    };
    for (const auto& [value, text] : {Case{"user@example.org", "user@example.org"},
                                      {"", "\"\""},
                                      {"a b", "\"a b\""},
                                      {"a=b", "\"a=b\""},
                                      {"a\"b", "\"a\\\"b\""},
                                      {"a\\b", "\"a\\\\b\""},
                                      {"jörg", "\"jörg\""}})
        EXPECT_EQ(text_of(value), text) << value;
}

TEST_F(Log, APeersOctetsStayInTheirLineAndValue) {
    struct Case {
        std::string value, text;
    };
    for (const auto& [value, text] : {Case{"a\r\n2026 info login", "\"a\\u000d\\u000a2026 info login\""},
                                      {"\0"s, "\"\\u0000\""},
                                      {"\x1b[2J", "\"\\u001b[2J\""},
                                      {"\x7f", "\"\\u007f\""},
                                      {"\xc2\x9b"
                                       "2J",
                                       "\"\\u009b2J\""},
                                      {"\xc2\xa0", "\"\xc2\xa0\""},
                                      {"\xe2\x80\xa8\xe2\x80\xa7", "\"\\u2028\xe2\x80\xa7\""},
                                      {"txt.\xe2\x80\xae"
                                       "exe\xe2\x81\xa9",
                                       "\"txt.\\u202eexe\\u2069\""},
                                      {"\xff", "\"\\ufffd\""},
                                      {"\xc3", "\"\\ufffd\""},
                                      {"\xc3(", "\"\\ufffd(\""},
                                      {"\xc0\xaf", "\"\\ufffd\\ufffd\""}})
        EXPECT_EQ(text_of(value), text) << testing::PrintToString(value);
}

TEST_F(Log, EveryJsonLineIsValidAndGivesTheValueBack) {
    log::configure(log::Level::debug, log::Format::json, file_);
    log::warning("event \"x\"", {{"text", "a\"b\\c\nä\x7f"}, {"number", -5}, {"yes", true}});
    const auto lines = lines_of(file_);
    ASSERT_EQ(lines.size(), 1u);
    const auto json = nlohmann::json::parse(lines[0]);
    EXPECT_EQ(json["level"], "warning");
    EXPECT_EQ(json["event"], "event \"x\"");
    EXPECT_EQ(json["text"], "a\"b\\c\nä\x7f");
    EXPECT_EQ(json["number"], -5);
    EXPECT_EQ(json["time"].get<std::string>().size(), std::string_view("2026-11-22T03:05:09.123Z").size());
}

TEST_F(Log, AnyOctetsMakeAJsonLineThatAStrictParserTakes) {
    log::configure(log::Level::debug, log::Format::json, file_);
    std::mt19937 random(33);
    constexpr std::string_view kLeads("\xc0\xc2\xe0\xe1\xed\xef\xf0\xf1\xf4\xf5\xff\x80\x8f\x90\x9f\xa0\xbf\"\\\n\0a",
                                      22);
    std::vector<std::string> values = {"\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    for (int i = 0; i < 500; ++i) {
        std::string value(random() % 12, '\0');
        for (char& c : value) c = kLeads[random() % kLeads.size()];
        values.push_back(std::move(value));
    }
    for (const auto& value : values) log::info("event", {{"key", value}});
    const auto lines = lines_of(file_);
    ASSERT_EQ(lines.size(), values.size());
    for (std::size_t i = 0; i < lines.size(); ++i)
        EXPECT_TRUE(nlohmann::json::accept(lines[i])) << testing::PrintToString(values[i]) << '\n' << lines[i];
}

TEST_F(Log, LeavesOutWhatIsBelowTheLevel) {
    log::configure(log::Level::warning, log::Format::text, file_);
    EXPECT_FALSE(log::enabled(log::Level::info));
    EXPECT_TRUE(log::enabled(log::Level::error));
    log::debug("no");
    log::info("no");
    log::warning("yes");
    log::error("yes");
    EXPECT_EQ(lines_of(file_).size(), 2u);
}

TEST_F(Log, GoesOnInANewFileAfterReopen) {
    log::configure(log::Level::info, log::Format::text, file_);
    log::info("one");
    std::filesystem::rename(file_, directory_ / "log.1");
    log::info("two");
    log::reopen();
    log::info("three");
    EXPECT_EQ(lines_of(directory_ / "log.1").size(), 2u);
    EXPECT_EQ(lines_of(file_).size(), 1u);
}

TEST_F(Log, RotationLosesNoLineOfThoseWhoWriteMeanwhile) {
    constexpr int kWriters = 3, kLines = 1000;
    log::configure(log::Level::info, log::Format::text, file_);
    std::atomic<int> under_way = kWriters;
    std::vector<std::jthread> writers;
    for (int writer = 0; writer < kWriters; ++writer)
        writers.emplace_back([&under_way, writer] {
            for (int line = 0; line < kLines; ++line) log::info("line", {{"writer", writer}, {"number", line}});
            --under_way;
        });
    std::vector<std::filesystem::path> files = {file_};
    while (under_way > 0 && files.size() < 200) {
        files.push_back(directory_ / std::to_string(files.size()));
        std::filesystem::rename(file_, files.back());
        log::reopen();
    }
    writers.clear();

    std::set<std::string> seen;
    for (const auto& file : files)
        for (const auto& line : lines_of(file))
            EXPECT_TRUE(seen.insert(line.substr(line.find("line "))).second) << line;
    EXPECT_EQ(seen.size(), std::size_t{kWriters} * kLines);
}

TEST_F(Log, AReaderThatStallsCostsLinesAndNobodysTime) {
    constexpr std::uint64_t kLines = 20'000;  // of 100 octets: a pipe and the queue hold about half of them
    ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
    const int pipe = ::open(file_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ASSERT_GE(pipe, 0);
    log::configure(log::Level::info, log::Format::json, file_);
    const std::string text(50, 'x');
    for (std::uint64_t i = 0; i < kLines; ++i) log::info("event", {{"key", text}});

    std::uint64_t written = 0, dropped = 0;
    std::string read;
    char block[64 * 1024];
    while (written + dropped < kLines) {
        pollfd wait{pipe, POLLIN, 0};
        ASSERT_EQ(::poll(&wait, 1, 60'000), 1) << written << " written, " << dropped << " dropped";
        const auto got = ::read(pipe, block, sizeof block);
        ASSERT_GT(got, 0);
        read.append(block, static_cast<std::size_t>(got));
        std::size_t begin = 0;
        for (std::size_t end; (end = read.find('\n', begin)) != read.npos; begin = end + 1) {
            const auto event = nlohmann::json::parse(read.substr(begin, end - begin));
            if (event["event"] == "log.dropped")
                dropped += event["lines"].get<std::uint64_t>();
            else
                ++written;
        }
        read.erase(0, begin);
    }
    ::close(pipe);
    EXPECT_GT(dropped, 0u);
    EXPECT_EQ(written + dropped, kLines);
}

TEST_F(Log, TellsHowManyLinesAFullDiskCost) {
    log::configure(log::Level::info, log::Format::text, "/dev/full");
    for (int i = 0; i < 3; ++i) log::info("lost");
    log::configure(log::Level::info, log::Format::text, file_);
    log::info("written");
    const auto lines = lines_of(file_);
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_TRUE(lines[0].ends_with(" info written")) << lines[0];
    EXPECT_TRUE(lines[1].ends_with(" warning log.dropped lines=3")) << lines[1];
}

TEST_F(Log, RefusesAFileItCannotOpenAndKeepsTheOldOne) {
    log::configure(log::Level::info, log::Format::text, file_);
    EXPECT_THROW(log::configure(log::Level::info, log::Format::text, directory_), std::runtime_error);
    log::info("one");
    std::filesystem::rename(file_, directory_ / "log.1");
    std::filesystem::create_directory(file_);
    EXPECT_THROW(log::reopen(), std::runtime_error);
    log::info("two");
    EXPECT_EQ(lines_of(directory_ / "log.1").size(), 2u);
}

}  // namespace
}  // namespace poplar
