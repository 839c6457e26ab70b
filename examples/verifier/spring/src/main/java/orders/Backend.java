package orders;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.http.client.SimpleClientHttpRequestFactory;
import org.springframework.security.authentication.AuthenticationServiceException;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.core.Authentication;
import org.springframework.security.oauth2.server.resource.introspection.OpaqueTokenIntrospector;
import org.springframework.security.oauth2.server.resource.introspection.SpringOpaqueTokenIntrospector;
import org.springframework.security.oauth2.server.resource.web.authentication.BearerTokenAuthenticationFilter;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.client.RestTemplate;

/** A backend that asks the verifier about the token of each request, with Spring Security. */
@SpringBootApplication
@RestController
public class Backend {
    private static final Logger LOG = LoggerFactory.getLogger(Backend.class);
    private static final Duration TIMEOUT = Duration.ofSeconds(1);

    public static void main(String[] args) {
        SpringApplication.run(Backend.class, args);
    }

    @GetMapping("/orders")
    String orders(Authentication authentication) {
        return "the orders of " + authentication.getName() + "\n";
    }

    @Bean
    SecurityFilterChain security(HttpSecurity http) throws Exception {
        return http
            .authorizeHttpRequests(requests -> requests.anyRequest().hasAuthority("SCOPE_orders:read"))
            .oauth2ResourceServer(server -> server.opaqueToken(Customizer.withDefaults()))
            // Otherwise requests without a token leave sessions in memory.
            .sessionManagement(sessions -> sessions.sessionCreationPolicy(SessionCreationPolicy.STATELESS))
            .addFilterBefore(Backend::answerWithoutVerifier, BearerTokenAuthenticationFilter.class)
            .build();
    }

    /** Spring throws if the verifier does not answer, and the client would get 401 from the page for errors. */
    private static void answerWithoutVerifier(ServletRequest request, ServletResponse response, FilterChain chain)
            throws IOException, ServletException {
        try {
            chain.doFilter(request, response);
        } catch (AuthenticationServiceException error) {
            // It is not known whether the token is good, so this is neither a yes nor a no.
            LOG.warn("the verifier did not answer: {}", error.getMessage());
            var answer = (HttpServletResponse) response;
            answer.setHeader("Retry-After", "1");
            answer.setStatus(HttpServletResponse.SC_SERVICE_UNAVAILABLE);
        }
    }

    /** The one that Spring makes from the properties waits without a limit, and takes a secret only at the start. */
    @Bean
    OpaqueTokenIntrospector introspector(
            @Value("${spring.security.oauth2.resourceserver.opaquetoken.introspection-uri}") String uri,
            @Value("${spring.security.oauth2.resourceserver.opaquetoken.client-id}") String clientId,
            @Value("${verifier.token-file}") Path tokenFile) {
        var connections = new SimpleClientHttpRequestFactory();
        connections.setConnectTimeout(TIMEOUT);
        connections.setReadTimeout(TIMEOUT);
        var client = new RestTemplate(connections);
        client.getInterceptors().add((request, body, execution) -> {
            // Read each time: after a rotation, the file has the next token.
            request.getHeaders().setBasicAuth(clientId, Files.readString(tokenFile).strip());
            return execution.execute(request, body);
        });
        return new SpringOpaqueTokenIntrospector(uri, client);
    }
}
