// The OAuth client of the MCP SDK: it is refused by an MCP server, finds the
// authorization server by the refusal (RFC 9728), signs in for that resource (RFC 8707)
// and refreshes.
import { createServer } from 'node:http'
import { auth } from '@modelcontextprotocol/sdk/client/auth.js'
import * as jose from 'jose'
import { Browser } from './browser.mjs'
import { setting, did, assert } from './setting.mjs'

// The MCP server: all that matters of it here is what it says about itself.
const resource = 'https://mcp.example/mcp'
const base = 'http://127.0.0.1'
const server = createServer((req, res) => {
  if (req.url.startsWith('/.well-known/oauth-protected-resource')) {
    res.setHeader('content-type', 'application/json')
    res.end(JSON.stringify({ resource: `${base}:${server.address().port}/mcp`, authorization_servers: [setting.issuer], scopes_supported: ['tools:call'] }))
    return
  }
  res.writeHead(401, { 'www-authenticate': `Bearer resource_metadata="${base}:${server.address().port}/.well-known/oauth-protected-resource/mcp"` }).end()
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const kept = {}
const browser = new Browser()
const provider = {
  get redirectUrl() { return setting.redirect_uri },
  get clientMetadata() { return { redirect_uris: [setting.redirect_uri], client_name: 'An agent', token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'] } },
  state: () => 'state-of-the-agent',
  clientInformation: () => ({ client_id: setting.client_id }),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => { kept.tokens = tokens },
  redirectToAuthorization: (url) => { kept.url = url },
  saveCodeVerifier: (v) => { kept.verifier = v },
  codeVerifier: () => kept.verifier,
  // The MCP server stands here on another address than the resource is known by.
  validateResourceURL: async () => new URL(resource),
}
try {
  const serverUrl = `${base}:${server.address().port}/mcp`
  assert.equal(await auth(provider, { serverUrl, scope: 'tools:call' }), 'REDIRECT')
  assert.equal(kept.url.searchParams.get('resource'), resource)
  did('found the authorization server', kept.url.origin)
  const back = new URL(await browser.through(kept.url.href, { back: setting.redirect_uri, login: setting.login, password: setting.password }))
  assert.equal(back.searchParams.get('iss'), setting.issuer)
  assert.equal(back.searchParams.get('state'), 'state-of-the-agent')
  assert.equal(await auth(provider, { serverUrl, authorizationCode: back.searchParams.get('code') }), 'AUTHORIZED')
  assert.equal(jose.decodeJwt(kept.tokens.access_token).aud, resource)
  did('signed in', kept.tokens.scope)
  const before = kept.tokens.access_token
  if (kept.tokens.refresh_token) {
    assert.equal(await auth(provider, { serverUrl }), 'AUTHORIZED')
    assert.notEqual(kept.tokens.access_token, before)
    did('refreshed')
  }
} finally {
  server.close()
  server.closeAllConnections()
}
