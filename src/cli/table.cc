#include "cli/table.h"

#include <algorithm>

#include "base/printable.h"

namespace poplar::cli {

namespace {

// Columns on a terminal, near enough: characters, not octets.
std::size_t width(std::string_view text) {
    std::size_t count = 0;
    for (char c : text) count += (c & 0xc0) != 0x80;
    return count;
}

}  // namespace

void Table::add(std::vector<std::string> row) {
    for (auto& cell : row) cell = with_hidden_shown(cell);
    rows_.push_back(std::move(row));
}

std::string Table::text() const {
    std::vector<std::size_t> widths;
    for (const auto& column : columns_) widths.push_back(width(column.title));
    for (const auto& row : rows_)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
    std::string out;
    auto line = [&](auto cell) {
        std::string built;
        for (std::size_t i = 0; i < columns_.size(); ++i) {
            std::string_view content = cell(i);
            std::string pad(widths[i] - width(content), ' ');
            if (i > 0) built += "  ";
            built += columns_[i].align == Align::right ? pad + std::string(content) : std::string(content) + pad;
        }
        built.erase(built.find_last_not_of(' ') + 1);
        out += built + "\n";
    };
    line([&](std::size_t i) { return std::string_view(columns_[i].title); });
    for (const auto& row : rows_) line([&](std::size_t i) { return std::string_view(row[i]); });
    return out;
}

}  // namespace poplar::cli
