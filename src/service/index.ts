/**
 * The share service: decides batches of ops, each once, for anyone's methods.
 *
 * `serveShareService` is a whole server on Bun. `createShareService` is its fetch function, for a server of your own:
 * pass `sql` and `methods`, and your handlers write in the transaction that decides their batch.
 */
export {
  createShareService,
  type RunningShareService,
  type ServeOptions,
  serveShareService,
  type ShareServer,
  type ShareServiceOptions,
} from "./bun.ts"
export { type ServiceEvent } from "./core.ts"
export {
  type Handler,
  type HandlerContext,
  type Method,
  type Methods,
  Rejection,
  type Upcast,
  type UpcastContext,
  type VersionedMethod,
} from "./handler.ts"
export { opencodeMethods } from "./opencode-methods.ts"
export { ShareError } from "./share-error.ts"
export { openShareServiceFile, type SqlFile } from "./sql-bun.ts"
export {
  type Sql,
  SqlBusyError,
  type SqlEngine,
  type SqlParam,
  sqlPort,
  type SqlRow,
  type SqlValue,
} from "./sql-port.ts"
