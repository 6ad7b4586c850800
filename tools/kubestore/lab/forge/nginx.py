"""nginx in front: smart HTTP for git, and the registry. Only this machine may write."""

from kubestore.lab.forge.settings import Settings

CONFIG = """\
user root;
worker_processes 1;
daemon off;
pid {root}/run/nginx.pid;
error_log {root}/logs/nginx.log warn;
events {{ worker_connections 512; }}
http {{
  access_log off;
  server_tokens off;
  client_max_body_size 0;
  client_body_temp_path {root}/run/body;
  proxy_temp_path {root}/run/proxy;
  fastcgi_temp_path {root}/run/fastcgi;
  uwsgi_temp_path {root}/run/uwsgi;
  scgi_temp_path {root}/run/scgi;

  geo $own {{ default 0; {address}/32 1; }}

  # Others may clone and fetch, nothing else: what is not listed is refused.
  map "$own $request_method $arg_service $uri" $forbidden {{
    default 1;
    ~^1 0;
    "~^0 GET git-receive-pack " 1;
    "~^0 (GET|HEAD) " 0;
    "~^0 POST  /[^ ]*/git-upload-pack$" 0;
  }}

  server {{
    listen {address}:{git_port};
    default_type text/plain;
    if ($forbidden) {{ return 403 "read-only from here: push from the machine that runs the cluster\\n"; }}
    location / {{
      include /etc/nginx/fastcgi_params;
      fastcgi_param SCRIPT_FILENAME {http_backend};
      fastcgi_param GIT_PROJECT_ROOT {root}/git;
      fastcgi_param GIT_HTTP_EXPORT_ALL 1;
      fastcgi_param GIT_PROTOCOL $http_git_protocol;
      fastcgi_param PATH_INFO $uri;
      fastcgi_param HOME {root}/run;
      fastcgi_param PATH {path};
      fastcgi_buffering off;
      fastcgi_read_timeout 300;
      fastcgi_send_timeout 300;
      fastcgi_pass unix:{root}/run/git.sock;
    }}
  }}

  server {{
    listen {address}:{registry_port};
    location / {{
      limit_except GET {{ allow {address}; deny all; }}
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_read_timeout 300;
      proxy_set_header Host $http_host;
      proxy_pass http://unix:{root}/run/registry.sock;
    }}
  }}
}}
"""


def config(settings: Settings, http_backend: str, path: str) -> str:
    """nginx.conf of one forge. `http_backend` is git's CGI program, `path` the PATH it gets."""
    return CONFIG.format(
        root=settings.root,
        address=settings.address,
        git_port=settings.git_port,
        registry_port=settings.registry_port,
        http_backend=http_backend,
        path=path,
    )
