"""The pages for people: `/`, `/wall`, `/devices`, `/devices/{id}`, rendered here and nowhere else.

What changes while a page is open is fetched again as a fragment of the same templates, so the browser
holds no second copy of any rule. `/static` serves `api/static`; the app mounts it.
"""

from api.pages.router import router

__all__ = ["router"]
