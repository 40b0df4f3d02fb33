package ginguard_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/bearerguard/bearerguard/authtest"
	"github.com/bearerguard/bearerguard/middleware"
	"github.com/bearerguard/bearerguard/middleware/ginguard"
	"github.com/gin-gonic/gin"
)

func Example() {
	t := new(testing.T) // in a test, its own
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))

	e := gin.New()
	e.GET("/patients/:id", ginguard.RequireScope(guard, "read:patients"), func(c *gin.Context) {
		who, _ := ginguard.Claims(c)
		c.String(http.StatusOK, "patient %s, asked for by %s", c.Param("id"), who.Subject)
	})

	request := httptest.NewRequest("GET", "/patients/7", nil)
	issuer.Authorize(request, authtest.Scope("read:patients"))
	response := httptest.NewRecorder()
	e.ServeHTTP(response, request)
	fmt.Println(response.Code, response.Body)
	// Output: 200 patient 7, asked for by user-1
}

// A handler that finds out late that it cannot answer.
func ExampleRefuse() {
	t := new(testing.T) // in a test, its own
	issuer := authtest.NewIssuer(t)
	guard := middleware.New(issuer.Validator("https://example.com/health-api"))
	find := func(context.Context) error { return fmt.Errorf("the database is down: %w", middleware.ErrUnavailable) }

	e := gin.New()
	e.GET("/patients", ginguard.Handler(guard), func(c *gin.Context) {
		if err := find(c.Request.Context()); err != nil {
			ginguard.Refuse(guard, c, err)
			return
		}
		c.String(http.StatusOK, "patients")
	})

	request := httptest.NewRequest("GET", "/patients", nil)
	issuer.Authorize(request)
	response := httptest.NewRecorder()
	e.ServeHTTP(response, request)
	fmt.Println(response.Code, response.Header().Get("Retry-After"))
	// Output: 503 5
}

// A test that no route was forgotten.
func ExampleRoutes() {
	t := new(testing.T) // in a test, its own
	guard := middleware.New(authtest.NewIssuer(t).Validator("https://example.com/health-api"))
	handler := func(*gin.Context) {}
	e := gin.New()
	e.GET("/patients/:id", ginguard.RequireScope(guard, "read:patients"), handler)
	e.GET("/labs", handler)

	for _, route := range ginguard.Routes(e) {
		if route.Policy.Access == middleware.Unprotected {
			fmt.Println(route) // t.Error(route)
		}
	}
	// Output: GET /labs: unprotected
}
