// A real identity provider (oidc-provider, OpenID certified) for the end-to-end tests: device flow, JWT access tokens
// (RFC 9068, by way of resource indicators), rotating refresh tokens with reuse detection, revocation, key rotation.
// It listens on 127.0.0.1 only and takes any name and password. Usage: node idp.mjs
// Environment: AT_TTL, RT_TTL, DC_TTL (seconds), ALG, INTERVAL (seconds; 0: none in the answer, as the library has it).
// ISSUER is what it calls itself when something stands before it. It prints one line of JSON, {"issuer": URL}, when it is ready. POST /test/rotate signs with new keys from then on;
// POST /test/end ends all sign-ins, as an administrator does; POST /test/life?seconds=N is the life of access tokens from
// then on; GET /test/stats counts events, device authorization requests ("device_authorization") and token requests by
// their grant ("token:...").
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import Provider, { errors } from 'oidc-provider';

const seconds = (name, standard) => Number(process.env[name] ?? standard);
let AT = seconds('AT_TTL', 60);
const RT = seconds('RT_TTL', 3600), DC = seconds('DC_TTL', 600), INTERVAL = seconds('INTERVAL', 1);
const ALG = process.env.ALG ?? 'RS256';
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';
const stats = {};
let generation = 0;

const count = (what) => { stats[what] = (stats[what] ?? 0) + 1; };

function signingKey() {
  const [type, options] = ALG.startsWith('ES') ? ['ec', { namedCurve: 'P-256' }] : ['rsa', { modulusLength: 2048 }];
  generation++;
  return { ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), kid: `k${generation}`, alg: ALG, use: 'sig' };
}

const publicClient = {
  client_id: 'valet', token_endpoint_auth_method: 'none', application_type: 'native', id_token_signed_response_alg: ALG,
  grant_types: [DEVICE, 'refresh_token', 'authorization_code'], response_types: ['code'], redirect_uris: ['http://127.0.0.1/callback'],
};
const confidentialClient = {
  ...publicClient, client_id: 'valet-confidential', client_secret: 'not-a-real-secret-0123456789', token_endpoint_auth_method: 'client_secret_basic',
};

// One store for all providers of this process (the library's own is one a provider), so that a provider with new keys
// knows the old grants. The interface is the library's; nothing expires here but by the library's own checks.
const store = new Map();
class Adapter {
  constructor(model) { this.model = model; }
  key(id) { return `${this.model}:${id}`; }
  async upsert(id, payload) { store.set(this.key(id), payload); }
  async find(id) { return store.get(this.key(id)); }
  async findBy(name, value) { return [...store].find(([k, p]) => k.startsWith(`${this.model}:`) && p[name] === value)?.[1]; }
  async findByUid(uid) { return this.findBy('uid', uid); }
  async findByUserCode(code) { return this.findBy('userCode', code); }
  async consume(id) { store.get(this.key(id)).consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { store.delete(this.key(id)); }
  async revokeByGrantId(grantId) { for (const [k, p] of store) if (p.grantId === grantId) store.delete(k); }
}

function provider(issuer, keys) {
  const p = new Provider(issuer, {
    adapter: Adapter,
    clients: [publicClient, confidentialClient],
    jwks: { keys },
    scopes: ['openid', 'offline_access', 'mcp:read', 'mcp:write'],
    ttl: { AccessToken: () => AT, RefreshToken: RT, DeviceCode: DC, IdToken: 3600, Grant: 86400, Session: 86400, Interaction: 600 },
    rotateRefreshToken: true,
    issueRefreshToken: async (ctx, client) => client.grantTypeAllowed('refresh_token'),
    features: {
      devInteractions: { enabled: true },
      deviceFlow: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => `${issuer}/mcp`,
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource) => ({
          scope: 'mcp:read mcp:write', audience: resource, accessTokenTTL: AT, accessTokenFormat: 'jwt', jwt: { sign: { alg: ALG } },
        }),
      },
    },
  });
  for (const event of ['grant.revoked', 'grant.error', 'refresh_token.consumed', 'refresh_token.saved', 'device_code.saved', 'access_token.issued', 'server_error'])
    p.on(event, () => count(event));
  p.use(async (ctx, next) => {
    await next();
    const { route, params } = ctx.oidc ?? {};
    if (route === 'device_authorization') count(route);
    if (route === 'token') count(`token:${params?.grant_type}`);
  });
  if (INTERVAL) addInterval(p);
  return p.callback();
}

// RFC 8628 sections 3.2 and 3.5: the library sends neither interval nor slow_down.
const lastPoll = new Map();
function addInterval(p) {
  p.use(async (ctx, next) => {
    await next();
    if (ctx.oidc?.route === 'device_authorization' && ctx.status === 200) ctx.body = { ...ctx.body, interval: INTERVAL };
    if (ctx.oidc?.route !== 'token' || ctx.body?.error !== 'authorization_pending') return;
    const code = ctx.oidc.params.device_code, now = Date.now(), previous = lastPoll.get(code);
    lastPoll.set(code, now);
    if (previous && now - previous < INTERVAL * 1000 - 100) {
      count('slow_down');
      ctx.body = { error: new errors.SlowDown('too early').error };
    }
  });
}

let keys = [signingKey()], handler;
const server = createServer((req, res) => {
  if (req.url === '/test/stats') return res.end(JSON.stringify(stats));
  if (req.url === '/test/rotate' && req.method === 'POST') {
    keys = [signingKey(), ...keys];
    handler = provider(issuer, keys);
    return res.end();
  }
  if (req.url === '/test/end' && req.method === 'POST') {
    for (const k of store.keys()) if (/^(Grant|RefreshToken|AccessToken):/.test(k)) store.delete(k);
    return res.end();
  }
  if (req.url.startsWith('/test/life?') && req.method === 'POST') {
    AT = Number(new URL(req.url, issuer).searchParams.get('seconds'));
    return res.end();
  }
  handler(req, res);
});
let issuer;
server.listen(0, '127.0.0.1', () => {
  const here = `http://127.0.0.1:${server.address().port}`;
  issuer = process.env.ISSUER ?? here;
  handler = provider(issuer, keys);
  console.log(JSON.stringify({ issuer: here }));
});
