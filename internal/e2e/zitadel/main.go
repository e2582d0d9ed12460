// Command zitadel is an identity provider for the end-to-end tests: the example server of github.com/zitadel/oidc,
// with a public client that may use the device flow, refresh, and get JWT access tokens.
// It listens on 127.0.0.1 and prints {"issuer": URL} when it is ready.
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

const clientID = "valet"

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	issuer := "http://" + listener.Addr().String() + "/"
	storage.RegisterClients(storage.NativeClient(clientID))
	quiet := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	router := exampleop.SetupServer(issuer, store{storage.NewStorage(users{})}, quiet, false)
	fmt.Printf("{\"issuer\":%q}\n", issuer)
	log.Fatal(http.Serve(listener, router))
}

// client is the library's example client, which by itself may neither refresh after a device login nor get a JWT.
type client struct{ *storage.Client }

func (client) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }
func (client) AuthMethod() oidc.AuthMethod         { return oidc.AuthMethodNone }
func (client) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeDeviceCode, oidc.GrantTypeRefreshToken}
}

type store struct{ *storage.Storage }

func (s store) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	c, err := s.Storage.GetClientByClientID(ctx, id)
	if example, ok := c.(*storage.Client); ok {
		return client{example}, err
	}
	return c, err
}

// TokenRequestByRefreshToken puts back the client of a device grant, which the example storage does not keep.
func (s store) TokenRequestByRefreshToken(ctx context.Context, token string) (op.RefreshTokenRequest, error) {
	r, err := s.Storage.TokenRequestByRefreshToken(ctx, token)
	if request, ok := r.(*storage.RefreshTokenRequest); ok && request.ApplicationID == "" {
		request.ApplicationID = clientID
	}
	return r, err
}

// RevokeToken also takes the tokens of a device grant, which the example storage keeps without their client.
func (s store) RevokeToken(ctx context.Context, token, user, client string) *oidc.Error {
	if err := s.Storage.RevokeToken(ctx, token, user, client); err == nil || client != clientID {
		return err
	}
	return s.Storage.RevokeToken(ctx, token, user, "")
}

// users holds one user, whose id is their name: the example's device page stores the one and looks for the other.
type users struct{}

func (users) GetUserByID(id string) *storage.User {
	if id != "alice" {
		return nil
	}
	return &storage.User{ID: "alice", Username: "alice", Password: "password", Email: "alice@example.test"}
}
func (u users) GetUserByUsername(name string) *storage.User { return u.GetUserByID(name) }
func (users) ExampleClientID() string                       { return "service" }
