#include "api/backup.h"

#include "api/types.h"

namespace poplar::api {

const Shape& BackupEvent::shape() {
    static const Shape shape{
        "BackupEvent",
        "How far a backup is.",
        {field<&BackupEvent::type>("type", "`progress`, about once a second; at the end `done` or `failed`"),
         field<&BackupEvent::name>("name", "Of done: the backup's, below the folder"),
         field<&BackupEvent::error>("error", "Of failed: why; earlier backups are as they were"),
         field<&BackupEvent::files>("files", "Of the whole backup"),
         field<&BackupEvent::octets>("octets", "Of the whole backup"),
         field<&BackupEvent::copied_files>("copied_files", "Written now; the others are shared"),
         field<&BackupEvent::copied_octets>("copied_octets", "Written now"),
         field<&BackupEvent::forgotten>("forgotten", "Of done: how many older backups were removed")}};
    return shape;
}

const Operation& BackUp::operation() {
    static const Operation operation{
        .request = {"BackUp",
                    "Make a backup of everything while the server runs",
                    {field<&BackUp::folder>("folder", "Where; an absolute path that the server's user may write"),
                     field<&BackUp::keep>("keep", "So many stay, older ones are removed; all if it is not said")
                         .up_to(1'000'000)}},
        .method = Method::post,
        .route = "/v1/backup",
        .content_type = "application/x-ndjson",
        .answer =
            "A JSON object a line: `type` is `progress`, about once a second, and at the end `done` or `failed` "
            "(`error`), with `files`, `octets`, `copied_files` and `copied_octets`; of done also `name` and "
            "`forgotten`. One that is given up, or fails, leaves earlier ones as they were."};
    return operation;
}

}  // namespace poplar::api
