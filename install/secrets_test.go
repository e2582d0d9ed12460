package install_test

import (
	"testing"

	"mcp-valet/install"
)

func TestDetectSecret(t *testing.T) {
	// Put together here, so that no scanner of repositories takes them for real.
	long := "Zq8" + "vT2mPx7LwR4nKd9BsY1cH6"
	for _, tt := range []struct{ name, value, want string }{
		{"GITHUB_PERSONAL_ACCESS_TOKEN", "x", "token"},
		{"ANYTHING", "ghp_" + long, "GitHub token"},
		{"ANYTHING", "github_pat_" + long, "GitHub token"},
		{"ANYTHING", "glpat-" + long, "GitLab token"},
		{"ANYTHING", "sk-ant-" + long, "API key"},
		{"ANYTHING", "sk_live_" + long, "API key"},
		{"ANYTHING", "xoxb-" + "123456789012-abc", "Slack token"},
		{"AWS_ACCESS_KEY_ID", "AKIA" + "ABCDEFGHIJKLMNOP", "AWS access key"},
		{"ANYTHING", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.", "JWT"},
		{"ANYTHING", "-----BEGIN RSA PRIVATE KEY-----\nx", "private key"},
		{"ANYTHING", "Bearer abcdefghijkl", "authorization header"},
		{"ANYTHING", "npm_" + long, "npm token"},
		{"ANYTHING", "hf_" + long, "Hugging Face token"},
		{"ANYTHING", "postgres://app:s3cret@db/app", "password in an address"},
		{"ANYTHING", "https://ghp_" + long + "@github.com/x", "token in an address"},
		{"ANYTHING", "https://api.example.com/?api_key=s3cretvalue", "key in an address"},
		{"ANYTHING", long, "random text"},
		{"ANYTHING", "9f86d081884c7d659a2feaa0c55ad015", "random text"},
		{"DB_PASSWORD", "12345678", "password"},
		{"DBPASSWORD", "correct horse", "password"},
		{"PGPASS", "x", ""}, // a file's name, mostly
		{"pass", "/not/a/path", "password"},
		{"apiKey", "abc", "key"},
		{"--api-key", "abc", "key"},
		{"MCP_API_KEYS", "a:b,c:d", "key"},
		{"OPENAI_APIKEY", "abc", "key"},
		{"AUTH", "user:pw", "token"},
		{"SESSION_COOKIE", "a=b", "secret"},

		{"ANYTHING", "", ""}, {"TOKEN", "", ""}, {"TOKEN", "  ", ""},
		{"GITHUB_TOKEN", "${GITHUB_TOKEN}", ""}, {"GITHUB_TOKEN", "$GITHUB_TOKEN", ""}, {"GITHUB_TOKEN", "%GITHUB_TOKEN%", ""}, {"API_KEY", "<your key>", ""},
		{"API_KEY", "keyring://kb/API_KEY", ""},
		{"MAX_TOKENS", "4096", ""}, {"TOKEN_LIMIT", "a lot", ""}, {"TOKENIZER", "cl100k", ""},
		{"AUTH", "none", ""}, {"AUTH_ENABLED", "yes", ""}, {"USE_PASSWORD", "true", ""}, {"AUTH_TYPE", "bearer", ""},
		{"GOOGLE_APPLICATION_CREDENTIALS", "/home/ann/key.json", ""}, {"PASSWORD_FILE", "/run/secrets/x", ""}, {"SSH_KEY", "~/.ssh/id", ""}, {"KEY", `C:\keys\a`, ""}, {"KEY", "./a", ""},
		{"AUTH_URL", "https://login.example.com/auth", ""}, {"TOKEN_ENDPOINT", "https://login.example.com/token?x=1", ""},
		{"DATABASE_URL", "postgres://app@db/app", ""}, {"DATABASE_URL", "postgres://app:${PW}@db/app", ""},
		{"CLIENT_ID", "mcp-valet", ""}, {"TENANT", "0b8a7c3e-1f2d-4c5b-9a6e-7d8f9a0b1c2d", ""},
		{"MONKEY", "banana", ""}, {"KEYBOARD", "us", ""}, {"AUTHOR", "Ann", ""}, {"COMPASS", "north", ""},
		{"PATH", "/usr/bin:/bin", ""}, {"LOG_LEVEL", "debug", ""}, {"LANG", "en_US.UTF-8", ""}, {"MODEL", "claude-sonnet-4-5-20250929", ""},
		{"NOTE", "this is a sentence with 12 words in it and Capitals", ""},
	} {
		if got, found := install.DetectSecret(tt.name, tt.value); got != tt.want || found != (tt.want != "") {
			t.Errorf("%s=%s: got %q, want %q", tt.name, tt.value, got, tt.want)
		}
	}
}
