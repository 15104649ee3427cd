module github.com/wafer-auth/wafer/verify

go 1.26.0
