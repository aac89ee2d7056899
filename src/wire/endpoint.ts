/** Addresses of a share service: it is named by its Cap'n Web endpoint, beside which its other routes lie. */
const rpc_path = "/rpc/share"

/** Why this names no service; undefined if it does. It repeats nothing of it, which may be a password or a token. */
export function endpointProblem(address: unknown): string | undefined {
  const url = typeof address === "string" && URL.canParse(address) ? new URL(address) : undefined
  if (!url || (url.protocol !== "http:" && url.protocol !== "https:")) return "must be an http(s) URL"
  if (!url.username && !url.password && !url.search && !url.hash) return
  return "must be a URL without a user, a password, a query or a fragment"
}

/** The endpoint of a service that is named by its origin, with a path if there is one, or by the endpoint itself. */
export function endpointOf(address: string): string {
  return `${baseOf(new URL(address).href)}${rpc_path}`
}

/** The service's origin, and the path below it at which its routes lie. */
export function baseOf(address: string): string {
  return address
    .replace(/\/+$/, "")
    .replace(/\/rpc\/share$/, "")
    .replace(/\/+$/, "")
}

/** The address of a call beside the endpoint, whose query it keeps. */
export function apiUrl(endpoint: string, path: string, query: Record<string, string> = {}): string {
  const url = new URL(endpoint)
  url.pathname = baseOf(url.pathname) + path
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
  return url.href
}
