package refresh

import (
	"context"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"mcp-valet/keyring"
)

// lookTime bounds the look at the issuer's description before a refresh grant.
const lookTime = 5 * time.Second

// Refresh sends one refresh grant (RFC 6749 section 6) and returns the credential that comes of it, which is not saved
// yet: with most issuers the refresh token in old is spent, so it must be, before anything uses it. The refresh token
// goes to the origin recorded in old and nowhere else: when configuration or issuer name another one, nothing is sent
// and the error wraps [ErrForeign]. Other errors wrap [ErrSignedOut] (there is no refresh token), are an *[OAuthError],
// or are those of an issuer that gave no usable answer; [Classify] tells what they mean.
func (c *Client) Refresh(ctx context.Context, old *keyring.Credential) (*keyring.Credential, error) {
	if err := bound(c.account, c.route, old); err != nil {
		return nil, err
	}
	if old.RefreshToken.IsZero() {
		return nil, errNoRefreshToken
	}
	endpoint, err := c.grantEndpoint(ctx, old)
	if err != nil {
		return nil, err
	}
	defer c.closeIdle()
	asked := now()
	token, err := c.tokenRequest(ctx, endpoint, c.grantForm(old))
	if err != nil {
		return nil, err
	}
	next := c.renewed(old, token, asked)
	next.TokenEndpoint = endpoint
	return next, nil
}

// grantEndpoint is where the refresh token may go. An issuer that moved the endpoint within its origin is followed; one
// that does not describe itself just now is asked at the recorded place. The description of an issuer that moved
// elsewhere is not enough to hand the token to a new place: a person signs in there.
func (c *Client) grantEndpoint(ctx context.Context, old *keyring.Credential) (string, error) {
	if c.account.Endpoints.Token != "" {
		return old.TokenEndpoint, nil // bound has compared the two
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	m, err := c.metadata(ctx)
	if err != nil {
		return old.TokenEndpoint, nil
	}
	if !sameOrigins(m.endpoints.Token, old.TokenEndpoint) {
		return "", foreign("token endpoint")
	}
	return m.endpoints.Token, nil
}

// grantForm is the refresh grant less the client's authentication. "scope" is left out: then the issuer grants what it
// granted before, while a scope it once declined would make it refuse everything.
func (c *Client) grantForm(old *keyring.Credential) url.Values {
	form := url.Values{
		"grant_type":    {"refresh_token"},
		"refresh_token": {old.RefreshToken.Reveal()},
	}
	if c.account.Resource != "" {
		form.Set("resource", c.account.Resource) // RFC 8707 section 2.2
	}
	if c.account.Audience != "" {
		form.Set("audience", c.account.Audience)
	}
	return form
}

// renewed is old with what the issuer answered in its place.
func (c *Client) renewed(old *keyring.Credential, token *oauth2.Token, asked time.Time) *keyring.Credential {
	next := *old
	next.Audience, next.Resource = c.account.Audience, c.account.Resource
	next.AccessToken = keyring.NewSecret(token.AccessToken)
	next.TokenType = token.TokenType
	next.ObtainedAt = asked.Truncate(time.Second)
	next.Expiry = lifetime(next.AccessToken, token.Expiry, asked)
	// "The authorization server MAY issue a new refresh token": without one the old one stays.
	if token.RefreshToken != "" {
		next.RefreshToken = keyring.NewSecret(token.RefreshToken)
	}
	if scope, _ := token.Extra("scope").(string); scope != "" {
		next.Scopes = strings.Fields(scope)
	}
	return &next
}
