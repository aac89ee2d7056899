/** How a share service is named, and where its routes then lie. */
import { expect, test } from "bun:test"
import { apiUrl, baseOf, endpointOf, endpointProblem } from "../../src/wire/endpoint.ts"

test.each([
  ["https://share.example", "https://share.example"],
  ["https://share.example/", "https://share.example"],
  ["https://share.example/rpc/share", "https://share.example"],
  ["https://share.example/rpc/share/", "https://share.example"],
  ["https://share.example/below", "https://share.example/below"],
  ["https://share.example/below/rpc/share/", "https://share.example/below"],
])("%s is a service at %s", (address, base) => {
  expect(endpointOf(address)).toBe(`${base}/rpc/share`)
  expect(baseOf(endpointOf(address))).toBe(base)
  expect(apiUrl(endpointOf(address), "/api/share/x", { a: "1 2" })).toBe(`${base}/api/share/x?a=1+2`)
})

test("a call keeps the query of an endpoint that has one", () => {
  expect(apiUrl("https://share.example/rpc/share?key=k", "/api/share")).toBe("https://share.example/api/share?key=k")
})

test.each(["nowhere", "ftp://share.example", "user:word@share.example", "", 5, undefined])(
  "%p names none",
  (address) => {
    expect(endpointProblem(address)).toBe("must be an http(s) URL")
  },
)

test.each(["https://user:word@share.example", "https://share.example/?token=word", "https://share.example/#word"])(
  "%s names none, and the answer repeats nothing of it",
  (address) => {
    expect(endpointProblem(address)).toBe("must be a URL without a user, a password, a query or a fragment")
  },
)
