#include "engine/local/settings.h"

#include "config/keys.h"
#include "engine/local/local_engine.h"

namespace poplar::engine::local {

void add_settings(config::Keys& keys, Options& options) {
    using std::chrono::days;
    using std::chrono::hours;
    using std::chrono::milliseconds;
    using std::chrono::seconds;
    keys.size("storage.segment_size", options.segment_size, 1u << 20, 4ull << 30, "Size of a file of the log.");
    keys.size("storage.large_body", options.large_body, 64u << 10, 64u << 20,
              "Messages over it go to a file of their own.");
    keys.size("storage.staged_memory", options.staged_memory, 1u << 20, config::Keys::kMostOctets,
              "Incoming mail held in memory, all connections together; past it, it goes to files. Each connection may "
              "hold up to 320 KB more.");
    keys.size("storage.min_free_space", options.min_free_space, 0, config::Keys::kMostOctets,
              "With less free on the disk no mail is taken (`452 4.3.1`); reading and deleting go on.");
    keys.size("storage.reserved_space", options.reserved_space, 0, config::Keys::kMostOctets,
              "Kept in the file `RESERVE`, and given up when the disk is full, so that a start and deletions still "
              "have room. `0`: none.");
    keys.size("storage.block_cache", options.block_cache, 0, config::Keys::kMostOctets,
              "Memory for the index's cache: an eighth of it for where the messages of maildrops lie that were fetched "
              "as a whole, another for what is looked up singly, accounts and the state of mailboxes. It fills with "
              "what is asked for. `\"0B\"`: a 32nd of what the machine, or its control group, has; at least 64 MiB, at "
              "most 1 GiB.");
    keys.size("storage.write_buffer", options.write_buffer, 1u << 20, 4ull << 30,
              "Changes of the index gathered in memory; also bounds what is replayed at start.");
    keys.size("storage.read_memory", options.read_memory, 0, config::Keys::kMostOctets,
              "Messages of 64 KiB to 2 MiB that are being fetched are held in memory up to this, all connections "
              "together; past it, and larger ones, are read twice: once to check them, once to send them.");
    keys.number("storage.reader_threads", options.reader_threads, 1, 1024, "Threads for reads from the disk.");
    keys.size("storage.copy_rate", options.copy_rate, 0, config::Keys::kMostOctets,
              "Octets a second at which what still counts in old segments is copied, so that their space comes back; "
              "slower when others want the processor or the disk. `\"0B\"`: never; only files of large messages and "
              "whole blocks of others come back.");
    keys.duration("storage.copy_every", options.copy_every, milliseconds(100), hours(1),
                  "How often is looked for segments that are worth copying.");
    keys.number("storage.copy_dead_percent", options.copy_dead_percent, 1, 90,
                "Percent of the log's space that may hold nothing that counts (1-90). With more of it dead, segments "
                "are copied, those with the most dead first; an almost empty one always is. With 15, at most 5.7 "
                "octets are copied for each that comes back, (100 - 15) / 15; with 20 it is 4.");
    keys.duration("storage.scrub_every", options.scrub_every, seconds(0), days(3'650),
                  "Everything stored is read once in this time, to find damage (`poplar status`, log event "
                  "`store.damage`). `\"0s\"`: only after `poplar scrub`.");
    keys.size("storage.scrub_rate", options.scrub_rate, 64u << 10, config::Keys::kMostOctets,
              "Octets a second at which that is done.");
    keys.boolean("storage.index_wal", options.index_wal,
                 "Give the index a synced log of its own: one more sync a group, for doubt and debugging. A full disk "
                 "then stops the store until a restart.");
}

}  // namespace poplar::engine::local
