// The control: the same clients against another provider, so that what fails is known
// to be ours and not the test's.
import { Provider } from 'oidc-provider'

const { port, redirect_uris, post_logout_redirect_uris, legacy } = JSON.parse(process.env.WAFER_CONTROL)
const issuer = `http://127.0.0.1:${port}`
const both = { redirect_uris, post_logout_redirect_uris, grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] }
const provider = new Provider(issuer, {
  clients: [
    { ...both, client_id: 'web', client_secret: 'a-secret-of-the-web-client-0001' },
    { ...both, client_id: 'legacy', client_secret: 'a-secret-of-the-legacy-client-1', redirect_uris: [legacy] },
    { ...both, client_id: 'spa', token_endpoint_auth_method: 'none', application_type: 'native' },
    { ...both, client_id: 'dpop', token_endpoint_auth_method: 'none', application_type: 'native', dpop_bound_access_tokens: true },
    { ...both, client_id: 'machine', client_secret: 'a-secret-of-the-machine-000001', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
    {
      ...both, client_id: 'tv', token_endpoint_auth_method: 'none', application_type: 'native', redirect_uris: [], response_types: [],
      grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
    },
  ],
  clientBasedCORS: () => true,
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  scopes: ['openid', 'offline_access', 'orders:read', 'tools:call'],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: id, email_verified: true, name: 'Ada' }) }),
  features: {
    devInteractions: { enabled: true }, clientCredentials: { enabled: true }, deviceFlow: { enabled: true }, introspection: { enabled: true },
    revocation: { enabled: true }, pushedAuthorizationRequests: { enabled: true }, rpInitiatedLogout: { enabled: true }, dPoP: { enabled: true },
    resourceIndicators: {
      enabled: true, defaultResource: () => undefined, useGrantedResource: () => true,
      getResourceServerInfo: (_, audience) => ({ audience, scope: 'orders:read tools:call', accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } }),
    },
  },
  issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
  pkce: { required: (_, client) => client.clientId !== 'legacy' },
  ttl: { AccessToken: 600, AuthorizationCode: 60, IdToken: 600, RefreshToken: 3600, Session: 3600, Interaction: 600, Grant: 3600, DeviceCode: 600, ClientCredentials: 600 },
})
for (const event of ['server_error', 'authorization.error', 'grant.error']) provider.on(event, (_, e) => console.log(event, e))
provider.listen(port, '127.0.0.1', () => console.log('ready'))
