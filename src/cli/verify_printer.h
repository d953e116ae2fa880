#pragma once
#include <string>

namespace poplar::api {
struct VerifyEvent;
}

namespace poplar::cli {

/// Prints the findings of a verification, from the server or our own.
class VerifyPrinter {
public:
    explicit VerifyPrinter(bool json);
    void event(const api::VerifyEvent& event);
    int exit_code() const { return damaged_ || !done_ ? 1 : 0; }

private:
    void clear_progress();
    const bool json_, progress_;
    bool shown_ = false, damaged_ = false, done_ = false;
};

/// "FILE at OFFSET: account A message M: what"
std::string damage_sentence(const api::VerifyEvent& event);

}  // namespace poplar::cli
