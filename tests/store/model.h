#pragma once
// An account as a list in memory, and a random history of it. The real store over the real engine must agree with it
// after each step, whatever is copied, scrubbed, crashed and rebuilt in between.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "mailstore/mail_store.h"

namespace poplar::test {

/// One step. `a` and `b` choose among what is there when it is made, so that a step means something in any history: one
/// can be shortened by leaving steps out.
struct ModelStep {
    enum class Kind {
        append,  ///< `a`: how many octets; `b`: with a given unique-id, or a large body
        open,    ///< a POP session begins; `a`: which of two; `b`: of which view of INBOX
        list,    ///< it loads its messages, and reads one
        quit,    ///< it deletes some, by the bits of `a`, and ends
        drop,    ///< it ends and deletes nothing
        remove,  ///< somebody else deletes some
        restore,
        expire,  ///< `a` hours pass
        purge,
        copy,  ///< of segments, as many as are worth it
        scrub,
        reopen,
        crash,     ///< the engine is abandoned: what is not yet synced is lost
        torn,      ///< ... in the middle of a write
        rebuild,   ///< a crash, and the index is lost
        back_up,   ///< the directory is copied aside while it is not in use
        put_back,  ///< ... and takes its place: what came since is lost, but clients remember it
        make_mailbox,
        rename_mailbox,
        remove_mailbox,
        flags,      ///< of some messages of a mailbox, by the bits of `b`
        copy_some,  ///< some messages of a mailbox, to another or the same
        move_some,
        expunge,
        views,     ///< what all views have deleted leaves INBOX, or one of the views goes
        describe,  ///< somebody asks for the structures and threads of a mailbox's messages; `a`: of which
        follow,    ///< one of the readers of the change log catches up
        last = follow,
    };
    Kind kind;
    std::uint64_t a = 0, b = 0;
};
std::string to_string(const ModelStep& step);

std::vector<ModelStep> random_history(std::uint64_t seed, std::size_t steps);

/// Makes the steps one after the other in a fresh store. Answers with what did not agree, and after which step.
struct Disagreement {
    std::size_t step = 0;
    std::string what;
};
std::optional<Disagreement> play(const std::vector<ModelStep>& history);

/// The shortest history found for which `fails` (play, but in its own test) has an answer: by leaving steps out, then
/// by making their numbers smaller.
using Fails = std::function<std::optional<Disagreement>(const std::vector<ModelStep>&)>;
std::vector<ModelStep> shrink(std::vector<ModelStep> history, const Fails& fails);

}  // namespace poplar::test
