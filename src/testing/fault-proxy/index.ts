/** The fault proxy: a scriptable TCP proxy between a real client and a real service. */
export { type Exchange, type Passage } from "./exchange.ts"
export {
  type ConnectionFate,
  connectionFaultNames,
  type Ending,
  type ExchangeFate,
  exchangeFaultNames,
} from "./fate.ts"
export { type FaultProxy, type FaultProxyOptions, openFaultProxy } from "./fault-proxy.ts"
