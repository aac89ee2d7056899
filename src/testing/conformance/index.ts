/** Conformance suites for other people's implementations, and for ours. */
export { type Check, ConformanceError } from "./check.ts"
export { eachServiceCheck } from "./each-service-check.ts"
export type { MethodCall, OptionalMethod, ServicePlace, ServiceSubject, ShareRef } from "./service-subject.ts"
export { eachStoreCheck } from "./each-store-check.ts"
export type { StorePlace, StoreSubject } from "./store-subject.ts"
