// Written by `npm run db:generate`. Do not edit.
// oxlint-disable-next-line typescript/triple-slash-reference -- a program that links the package has another tsconfig
/// <reference path="./sql.d.ts" />
import sql0 from "../../migration/20261121101413_outbox/migration.sql" with { type: "text" }
import sql1 from "../../migration/20261127132049_faults/migration.sql" with { type: "text" }
import sql2 from "../../migration/20261127153742_retry-after/migration.sql" with { type: "text" }
import sql3 from "../../migration/20261127174541_wire-protocol/migration.sql" with { type: "text" }
import sql4 from "../../migration/20261127211717_rotation/migration.sql" with { type: "text" }

export const migrations: { name: string; sql: string }[] = [
  { name: "20261121101413_outbox", sql: sql0 },
  { name: "20261127132049_faults", sql: sql1 },
  { name: "20261127153742_retry-after", sql: sql2 },
  { name: "20261127174541_wire-protocol", sql: sql3 },
  { name: "20261127211717_rotation", sql: sql4 },
]
