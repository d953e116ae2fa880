// The two algorithms of RFC 5256 s3. Threads are trees of nodes in one vector, so that a thread of any depth needs no
// stack; nodes without a message stand for messages that are only referred to.
#include "imap/thread.h"

#include <algorithm>
#include <functional>
#include <unordered_map>
#include <utility>

#include "base/ascii.h"
#include "imap/sort.h"
#include "imap/text_form.h"
#include "mail/thread.h"

namespace poplar::imap {

namespace {

using mail::KeptField;

constexpr std::size_t kMostReferences = 100;  // of a message
// How far up a thread is looked for a loop. A link deeper down is not made, so that a thread of 100,000 messages that
// each answer the one before costs no more than many small ones.
constexpr std::size_t kMostAncestors = 1000;
constexpr std::uint32_t kNone = 0xffffffff;

struct Node {
    const ThreadEntry* message = nullptr;  // null: it is only referred to
    std::uint32_t parent = kNone;
    std::vector<std::uint32_t> children = {};
};

bool sent_before(const ThreadEntry& a, const ThreadEntry& b) {
    return std::pair(a.sent, a.number) < std::pair(b.sent, b.number);
}

class Forest {
public:
    explicit Forest(const std::vector<ThreadEntry>& entries) {
        nodes_.reserve(entries.size());
        link(entries);
        prune();
        sort_all();
        join_subjects();
        sort_all();
    }

    void write(std::string& out) const {
        for (const auto root : roots_) {
            out += '(';
            write_thread(out, root);
            out += ')';
        }
    }

private:
    std::uint32_t add() {
        nodes_.emplace_back();
        return static_cast<std::uint32_t>(nodes_.size() - 1);
    }

    std::uint32_t named(std::string_view id) {
        const auto [place, is_new] = by_id_.try_emplace(id, kNone);
        if (is_new) place->second = add();
        return place->second;
    }

    /// Whether `node` is `of`, or above it; or too far below to be sure.
    bool may_be_above(std::uint32_t node, std::uint32_t of) const {
        for (std::size_t steps = 0; of != kNone; of = nodes_[of].parent)
            if (of == node || ++steps > kMostAncestors) return true;
        return false;
    }

    // Step 1: a message is below the last that it refers to, and these are below each other, in their order, where
    // nothing else is known of them.
    void link(const std::vector<ThreadEntry>& entries) {
        for (const auto& entry : entries) {
            auto own = entry.message_id.empty() ? add() : named(entry.message_id);
            if (nodes_[own].message) own = add();  // another message has this id
            nodes_[own].message = &entry;
            auto before = kNone;
            for (const auto& reference : entry.references) {
                const auto node = named(reference);
                if (before != kNone && nodes_[node].parent == kNone && !may_be_above(node, before))
                    nodes_[node].parent = before;
                before = node;
            }
            nodes_[own].parent = kNone;
            if (before != kNone && !may_be_above(own, before)) nodes_[own].parent = before;
        }
        for (std::uint32_t i = 0; i < nodes_.size(); ++i)
            if (nodes_[i].parent == kNone)
                roots_.push_back(i);
            else
                nodes_[nodes_[i].parent].children.push_back(i);
    }

    /// All nodes below `roots_`, each before those below it.
    std::vector<std::uint32_t> from_above() const {
        auto order = roots_;
        for (std::size_t i = 0; i < order.size(); ++i)
            order.insert(order.end(), nodes_[order[i]].children.begin(), nodes_[order[i]].children.end());
        return order;
    }

    /// Puts a node into its place: itself, or its children if it has no message.
    void place(std::uint32_t node, bool at_root, std::vector<std::uint32_t>& out) {
        auto& children = nodes_[node].children;
        if (!nodes_[node].message && (children.size() < 2 || !at_root))
            out.insert(out.end(), children.begin(), children.end());
        else
            out.push_back(node);
    }

    // Step 3: nodes without a message go; at the root only if one child at most is below it.
    void prune() {
        const auto order = from_above();
        for (auto at = order.rbegin(); at != order.rend(); ++at) {
            std::vector<std::uint32_t> children;
            for (const auto child : nodes_[*at].children) place(child, false, children);
            nodes_[*at].children = std::move(children);
        }
        std::vector<std::uint32_t> roots;
        for (const auto root : roots_) place(root, true, roots);
        roots_ = std::move(roots);
    }

    /// The message that a thread begins with: a root without one has some below it, sorted.
    const ThreadEntry& first(std::uint32_t node) const {
        while (!nodes_[node].message) node = nodes_[node].children.front();
        return *nodes_[node].message;
    }

    // Steps 4 and 6: by the date; from below, because a root without a message has that of its first child.
    void sort_all() {
        const auto earlier = [this](std::uint32_t a, std::uint32_t b) { return sent_before(first(a), first(b)); };
        const auto order = from_above();
        for (auto at = order.rbegin(); at != order.rend(); ++at)
            if (nodes_[*at].children.size() > 1) std::ranges::sort(nodes_[*at].children, earlier);
        std::ranges::sort(roots_, earlier);
    }

    // Step 5: threads whose subjects are alike become one.
    void join_subjects() {
        std::unordered_map<std::string_view, std::uint32_t> table;
        for (const auto root : roots_) {
            const auto& subject = first(root).subject;
            if (subject.empty()) continue;
            const auto [place, is_new] = table.try_emplace(subject, root);
            if (is_new) continue;
            const auto there = place->second;
            const bool replaces =
                nodes_[there].message && (!nodes_[root].message || (first(there).is_reply && !first(root).is_reply));
            if (replaces) place->second = root;
        }
        std::unordered_map<std::uint32_t, std::uint32_t> joined;  // a root of the table: the one that stands for it now
        std::vector<std::uint32_t> roots;
        std::vector<std::pair<std::uint32_t, std::uint32_t>> moves;
        for (const auto root : roots_) {
            const auto found = table.find(first(root).subject);
            if (found == table.end() || found->second == root)
                roots.push_back(root);
            else
                moves.emplace_back(root, found->second);
        }
        for (const auto& [root, to] : moves) {
            if (const auto standing = joined.find(to); standing != joined.end()) {
                nodes_[standing->second].children.push_back(root);  // a root without a message is never here
            } else if (!nodes_[to].message) {
                if (nodes_[root].message)
                    nodes_[to].children.push_back(root);
                else
                    nodes_[to].children.insert(nodes_[to].children.end(), nodes_[root].children.begin(),
                                               nodes_[root].children.end());
            } else if (nodes_[root].message && first(root).is_reply && !first(to).is_reply) {
                nodes_[to].children.push_back(root);
            } else {
                const auto both = add();
                nodes_[both].children = {to, root};
                joined.emplace(to, both);
            }
        }
        for (auto& root : roots)
            if (const auto standing = joined.find(root); standing != joined.end()) root = standing->second;
        roots_ = std::move(roots);
    }

    /// RFC 5256 s4: a chain of only children is flat, siblings have parentheses each.
    void write_thread(std::string& out, std::uint32_t root) const {
        struct Open {
            std::uint32_t node;
            std::size_t next = 0;
        };
        std::vector<Open> open{{root}};
        const auto say = [&](std::uint32_t node) {
            if (!nodes_[node].message) return;
            if (!out.ends_with('(')) out += ' ';
            write_number(out, nodes_[node].message->id);
        };
        say(root);
        while (!open.empty()) {
            auto& top = open.back();
            const auto& children = nodes_[top.node].children;
            if (top.next == children.size()) {
                open.pop_back();
                if (!open.empty() && nodes_[open.back().node].children.size() > 1) out += ')';
                continue;
            }
            const auto child = children[top.next++];
            if (children.size() > 1) {
                if (top.next == 1 && nodes_[top.node].message) out += ' ';
                out += '(';
            }
            say(child);
            open.push_back({child});
        }
    }

    std::vector<Node> nodes_;
    std::unordered_map<std::string_view, std::uint32_t> by_id_;
    std::vector<std::uint32_t> roots_;
};

/// The first message of a subject is the parent of all others of it.
void write_by_subject(std::string& out, std::vector<ThreadEntry>& entries) {
    std::ranges::sort(entries, sent_before);
    std::unordered_map<std::string_view, std::size_t> places;
    std::vector<std::vector<const ThreadEntry*>> threads;
    for (const auto& entry : entries) {
        const auto [place, is_new] = places.try_emplace(entry.subject, threads.size());
        if (is_new) threads.emplace_back();
        threads[place->second].push_back(&entry);
    }
    for (const auto& thread : threads) {
        out += '(';
        write_number(out, thread.front()->id);
        for (std::size_t i = 1; i < thread.size(); ++i) {
            const bool alone = thread.size() == 2;
            out += alone ? " " : i == 1 ? " (" : "(";
            write_number(out, thread[i]->id);
            if (!alone) out += ')';
        }
        out += ')';
    }
}

}  // namespace

std::optional<ThreadAlgorithm> find_thread_algorithm(std::string_view name) {
    if (ascii::same(name, "ORDEREDSUBJECT")) return ThreadAlgorithm::ordered_subject;
    if (ascii::same(name, "REFERENCES")) return ThreadAlgorithm::references;
    return std::nullopt;
}

ThreadEntry thread_entry(ThreadAlgorithm algorithm, std::uint32_t id, std::uint32_t number, Timestamp received,
                         const mail::Structure& structure) {
    const auto& message = structure.parts.front();
    const auto value = [&](KeptField field) { return message.field(field).value_or(""); };
    ThreadEntry entry{.id = id, .number = number, .sent = sent_time(structure, received), .subject = {}};
    entry.subject = mail::base_subject(value(KeptField::subject), &entry.is_reply);
    if (algorithm == ThreadAlgorithm::ordered_subject) return entry;
    for (const auto own : mail::message_ids(value(KeptField::message_id), 1)) entry.message_id = own;
    for (const auto one : mail::message_ids(value(KeptField::references), kMostReferences))
        entry.references.emplace_back(one);
    if (entry.references.empty())  // RFC 5256 s3: then the first id that In-Reply-To has
        for (const auto one : mail::message_ids(value(KeptField::in_reply_to), kMostReferences)) {
            entry.references.emplace_back(one);
            break;
        }
    return entry;
}

void write_threads(std::string& out, ThreadAlgorithm algorithm, std::vector<ThreadEntry> entries) {
    if (algorithm == ThreadAlgorithm::ordered_subject)
        write_by_subject(out, entries);
    else
        Forest(entries).write(out);
}

}  // namespace poplar::imap
