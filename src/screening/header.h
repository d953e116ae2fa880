#pragma once
// A message's header as its fields, and a reader that cuts a message into header and body as it passes.
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "mail/wire_form.h"

namespace poplar::screening {

class Header {
public:
    struct Field {
        std::string_view raw;            ///< with its folds and the CRLF at its end
        std::string name;                ///< in lower case, without white space
        std::string_view value() const;  ///< behind the colon, as it stands
    };

    Header() = default;
    /// Plain octets, up to the blank line or without one.
    explicit Header(std::string text);
    Header(const Header&) = delete;
    Header& operator=(const Header&) = delete;

    const std::vector<Field>& fields() const { return fields_; }
    /// Those of this name (in lower case), from top to bottom.
    const std::vector<std::size_t>& named(const std::string& name) const;
    /// Null: there is none, or more than one.
    const Field* only(const std::string& name) const;

private:
    std::string text_;
    std::vector<Field> fields_;
    std::map<std::string, std::vector<std::size_t>> by_name_;
};

/// Takes a message in wire form as it passes and tells header and body, plain. Its user bounds the header.
class MessageReader {
public:
    virtual ~MessageReader() = default;
    void feed(std::string_view wire);
    /// After the last octet: a message may have no body.
    void finish();

protected:
    virtual void on_header(std::string text) = 0;  ///< once, before any body; with the blank line
    virtual void on_body(std::string_view plain) = 0;

private:
    void take(std::string_view plain);

    mail::WireDecoder decoder_;
    std::string plain_, header_;
    std::size_t searched_ = 0;  // of header_
    bool in_body_ = false;
};

}  // namespace poplar::screening
