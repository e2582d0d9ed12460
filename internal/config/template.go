package config

// Template is the text of a new config file: empty, with comments that say what goes where.
func Template() []byte { return []byte(template) }

const template = `// The config of mcp-valet: JSON with comments. No secret is written here: secrets are in the keychain, and
// "keyring://NAME/KEY" refers to one. To see whether all is well: mcp-valet config check
{
  // Sign-ins. "mcp-valet login ACCOUNT --issuer URL --client-id ID" adds one:
  //
  //   "work": {
  //     "issuer": "https://login.example.com",
  //     "clientId": "mcp-valet",
  //     "scopes": ["openid", "offline_access"]
  //   }
  "accounts": {},

  // MCP servers, as a client's config has them, and what each one is given. After a change: mcp-valet trust NAME
  //
  //   "security-kb": {
  //     "command": "python",
  //     "args": ["mcp_server.py", "security"],
  //     "env": { "DB_PASSWORD": "keyring://security-kb/DB_PASSWORD" },
  //     "auth": { "account": "work", "tokenEnv": "MCP_AUTH_TOKEN" }
  //   }
  "mcpServers": {}
}
`
