/** Everything that `sturdy doctor` looks at, in this order: what a later one needs, an earlier one has looked at. */
import type { Check } from "./check.ts"
import { clockCheck } from "./clock.ts"
import { connectionCheck } from "./connection.ts"
import { databaseCheck, pageCheck, runtimeCheck, schemaCheck } from "./database.ts"
import { diskCheck, fileCheck, leftoverCheck, permissionCheck } from "./file.ts"
import { invariantCheck } from "./invariants.ts"
import { leaseCheck } from "./lease.ts"
import { salvageCheck } from "./salvage.ts"
import { sizeCheck, streamCheck } from "./streams.ts"
import { walCheck } from "./wal.ts"

export const checks: readonly Check[] = [
  runtimeCheck,
  fileCheck,
  permissionCheck,
  diskCheck,
  leftoverCheck,
  walCheck,
  databaseCheck,
  schemaCheck,
  pageCheck,
  invariantCheck,
  salvageCheck,
  leaseCheck,
  clockCheck,
  streamCheck,
  sizeCheck,
  connectionCheck,
]
